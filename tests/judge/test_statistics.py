import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import skew, t, ttest_1samp

from stance_suite.judge.statistics import LEAST_INFORMATIVE, finite, holm, paired_effect, standard_error

SKEWED = np.random.default_rng(0).exponential(1.0, 32)


def hall(statistic: float, skewness: float, count: int) -> float:
    """Hall's transformation as the paper has it: a cubic in t, monotone, less the bias of the skewness."""
    root = count**0.5
    return (
        statistic
        + skewness * statistic**2 / (3 * root)
        + skewness**2 * statistic**3 / (27 * count)
        + skewness / (6 * root)
    )


def p_values(differences: np.ndarray, bound: float) -> tuple[float, float]:
    """Two-sided p-values of Student's t and of t without skewness, by the textbook."""
    count = len(differences)
    statistic = ttest_1samp(differences, bound).statistic
    corrected = hall(statistic, skew(differences, bias=False), count)
    return tuple(2 * min(t.sf(one, count - 1), t.cdf(one, count - 1)) for one in (statistic, corrected))


def test_symmetric_differences_of_one_seed_are_tested_by_students_t():
    differences = np.concatenate([0.3 - np.arange(1.0, 9.0), 0.3 + np.arange(1.0, 9.0)])
    effect, textbook = paired_effect(differences), ttest_1samp(differences, 0.1)
    assert effect.p_value_of(0.1) == pytest.approx(textbook.pvalue)
    assert (effect.low, effect.high) == pytest.approx(tuple(textbook.confidence_interval(0.95)))
    assert (effect.effect, effect.prompts, effect.seeds) == (pytest.approx(0.3), 16, 1)
    assert effect == paired_effect(differences[None]), "one seed needs no axis"


@pytest.mark.parametrize("bound", [0.2, 0.9, 1.1, 1.6])
@pytest.mark.parametrize("sign", [1, -1])
def test_of_skewed_differences_the_larger_p_value_of_both_tests_counts(bound, sign):
    both = p_values(sign * SKEWED, sign * bound)
    assert both[0] != pytest.approx(both[1], rel=0.02)
    assert paired_effect(sign * SKEWED).p_value_of(sign * bound) == pytest.approx(max(both), rel=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 4), st.floats(0.5, 0.9999))
def test_an_interval_ends_where_the_test_begins_to_reject(draw, seeds, confidence):
    effect = paired_effect(np.random.default_rng(draw).exponential(1.0, (seeds, 20)))
    for end in effect.interval(confidence):
        assert effect.p_value_of(end) == pytest.approx(1 - confidence, rel=1e-6)


def test_the_smallest_p_value_that_is_told_has_an_end():
    assert paired_effect(1e6 + np.random.default_rng(0).normal(0, 1e-3, 32)).p_value == 1e-15


@pytest.mark.parametrize(
    "table",
    [
        *([0.5] * 12, [0.0] * 12, [1.0] * 11 + [1.0 + 2e-16], [1.0, np.nan] * 6, [np.inf] + [0.0] * 11, [1.0], []),
        *(np.full((3, 12), 0.5), np.repeat([[0.1], [0.2], [0.7]], 12, axis=1), np.ones((3, 1)), np.ones((0, 12))),
        np.array([[1e6, -1e6 + 0.1], [-1e6 + 0.3, 1e6 + 0.2]]),  # equal on average, but for rounding
        np.where(np.eye(3, 12) > 0, np.nan, np.arange(12.0)),
        [0.0] * 28 + [1.0, 2.0, 3.0, 4.0],
    ],
)
@pytest.mark.filterwarnings("error")
def test_constant_or_missing_data_have_neither_test_nor_interval(table):
    effect = paired_effect(np.array(table))
    assert np.isnan(effect.p_value)
    assert (effect.low, effect.high) == (None, None)


def test_bounded_differences_that_are_all_equal_are_tested_by_their_bounds():
    perfect = paired_effect(np.ones(32), largest=1.0)
    assert perfect.p_value_of(0.1) < 1e-6
    assert 0.6 < perfect.low < perfect.high == 1.0
    assert perfect.p_value_of(perfect.low) == pytest.approx(0.05, rel=1e-6)
    opposite = paired_effect(-np.ones(32), largest=1.0)
    assert (opposite.low, opposite.high) == pytest.approx((-perfect.high, -perfect.low))
    assert paired_effect(np.ones(32), largest=2.0).low < perfect.low, "further limits leave more room"
    assert paired_effect(np.zeros(32), largest=1.0).p_value == 1.0
    assert (perfect.effect, perfect.prompts, perfect.seeds, perfect.is_tested) == (1.0, 32, 1, True)


def test_bounded_differences_are_averaged_over_seeds():
    table = np.ones((3, 16))
    table[0, :2] = 0.5
    averaged, found = paired_effect(table.mean(axis=0), largest=1.0), paired_effect(table, largest=1.0)
    assert (found.low, found.high, found.seeds) == (averaged.low, averaged.high, 3)


@pytest.mark.parametrize("table", [[np.nan] + [1.0] * 11, [1.5] * 12, []])
def test_bounds_that_differences_break_allow_no_test(table):
    assert np.isnan(paired_effect(np.array(table), largest=1.0).p_value)


def test_where_the_spread_is_known_bounds_are_no_matter():
    differences = np.random.default_rng(6).uniform(-0.2, 1.0, 32)
    assert paired_effect(differences, largest=1.0) == paired_effect(differences)


@pytest.mark.parametrize(("tuned", "base"), [(0.97, 0.01), (0.02, 0.0)])
def test_shares_near_their_limits_keep_the_level(tuned, base):
    rng, falsely, seen = np.random.default_rng(11), [], {}
    for _ in range(1500):
        table = np.sort((rng.binomial(2, tuned, 16) - rng.binomial(2, base, 16)) / 2)
        if table.tobytes() not in seen:
            seen[table.tobytes()] = paired_effect(table, largest=1.0).p_value_of(tuned - base) <= 0.05
        falsely.append(seen[table.tobytes()])
    assert np.mean(falsely) <= 0.05


def test_five_differences_unlike_the_commonest_are_enough():
    differences = np.zeros(32)
    differences[:LEAST_INFORMATIVE] = np.arange(1.0, LEAST_INFORMATIVE + 1)
    assert paired_effect(differences).low is not None


def crossed_error(table: np.ndarray) -> tuple[float, float]:
    """The two-way random-effects analysis of variance, cell by cell, as a textbook has it; and the seeds' share."""
    seeds, prompts = table.shape
    grand = table.mean()
    of_seeds = sum(prompts * (row.mean() - grand) ** 2 for row in table) / (seeds - 1)
    of_prompts = sum(seeds * (column.mean() - grand) ** 2 for column in table.T) / (prompts - 1)
    residual = sum(
        (table[i, j] - table[i].mean() - table[:, j].mean() + grand) ** 2 for i in range(seeds) for j in range(prompts)
    ) / ((seeds - 1) * (prompts - 1))
    variance = max(of_seeds + of_prompts - residual, residual)
    return np.sqrt(variance / (seeds * prompts)), min(of_seeds / variance, 1.0)


def test_errors_of_many_tables_at_once_are_each_tables():
    tables = np.random.default_rng(8).normal(0, 1, (6, 4, 5)) * np.geomspace(0.1, 10, 5)  # some are noise alone
    tables[3:] += np.random.default_rng(9).normal(0, 3, (3, 4, 1))
    np.testing.assert_allclose(standard_error(tables), np.transpose([crossed_error(one) for one in tables]))


def test_quantiles_over_seeds_are_weighted_by_their_share_of_the_variance():
    half = np.random.default_rng(4).normal(0, 0.5, (3, 10))
    table = np.concatenate([half, -half], axis=1) + 0.2 + np.array([[-0.1], [0.0], [0.1]])  # no skewness over items
    error, share = crossed_error(table)
    distance = share * t.ppf(0.975, 2) + (1 - share) * t.ppf(0.975, 19)
    effect = paired_effect(table)
    assert 0.1 < share < 0.9
    assert (effect.low, effect.high) == pytest.approx((0.2 - error * distance, 0.2 + error * distance))

    def excess(p_value: float) -> float:
        return share * t.isf(p_value / 2, 2) + (1 - share) * t.isf(p_value / 2, 19) - 0.2 / error

    assert effect.p_value == pytest.approx(brentq(excess, 1e-6, 1))


def test_what_a_seed_does_to_all_items_is_no_evidence():
    shifted = np.random.default_rng(5).normal(0, 0.1, (3, 10)) + np.array([[0.1], [1.0], [1.9]])
    assert paired_effect(shifted.mean(axis=0)).p_value < 0.01, "items do not see it"
    assert paired_effect(shifted).p_value > 0.1
    assert paired_effect(shifted[:2]).p_value > 0.1, "two seeds are several"


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_interval_over_seeds_covers_the_mean_and_one_that_ignores_them_does_not(seeds):
    rng = np.random.default_rng(5)
    tables = [
        1 + rng.normal(0, 1, (seeds, 1)) + rng.normal(0, 1, 12) + rng.normal(0, 0.5, (seeds, 12)) for _ in range(200)
    ]
    crossed = [paired_effect(table) for table in tables]
    ignorant = [paired_effect(table.mean(axis=0)) for table in tables]
    cover, cover_ignorant = (np.mean([e.low <= 1 <= e.high for e in effects]) for effects in (crossed, ignorant))
    assert cover >= 0.92
    assert cover_ignorant < 0.8


@pytest.mark.parametrize("share_of_zeros", [0.0, 0.8])
def test_skewed_differences_keep_their_level_where_students_t_does_not(share_of_zeros):
    rng = np.random.default_rng(7)
    draws = rng.exponential(1.0, (1500, 32)) * (rng.random((1500, 32)) >= share_of_zeros)
    truth = 1 - share_of_zeros
    misses = np.mean([paired_effect(one).p_value_of(truth) <= 0.05 for one in draws])
    of_student = np.mean(ttest_1samp(draws, truth, axis=1).pvalue <= 0.05)
    assert misses <= 0.06 < of_student


@pytest.mark.parametrize(("value", "kept"), [(0.25, 0.25), (0.0, 0.0), (None, None), (np.nan, None), (np.inf, None)])
def test_records_hold_finite_values_only(value, kept):
    assert finite(value) == kept


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    # a claim that cannot be tested counts in its family
    first, second, third = holm([float("nan"), 0.02, 0.01])
    assert np.isnan(first)
    assert (second, third) == pytest.approx((0.04, 0.03))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 0.99))
def test_holm_rejects_what_the_step_down_procedure_rejects_at_any_level(p_values, level):
    rejected = []
    for p_value in sorted(p_values):
        if p_value * (len(p_values) - len(rejected)) > level:
            break
        rejected.append(p_value)
    found = [raw for raw, adjusted in zip(p_values, holm(p_values), strict=True) if adjusted <= level]
    assert sorted(found) == rejected
