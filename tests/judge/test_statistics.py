import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from stance_suite.judge.statistics import (
    crossed_standard_error,
    finite,
    holm,
    paired_effect,
    sign_flip_p_value,
    smallest_p_value,
)


def plain_p_value(differences: np.ndarray) -> float:
    """Every sign pattern, written as plainly as possible."""
    means = [np.mean(differences * signs) for signs in itertools.product((1, -1), repeat=len(differences))]
    tolerance = 1e-12
    upper = np.mean([mean >= np.mean(differences) - tolerance for mean in means])
    lower = np.mean([mean <= np.mean(differences) + tolerance for mean in means])
    return min(1.0, 2 * min(upper, lower))


@pytest.mark.parametrize(("prompts", "smallest"), [(2, 0.5), (5, 0.0625), (12, 2**-11), (16, 2**-15)])
def test_all_patterns_of_few_prompts_are_tried(prompts, smallest):
    effect = paired_effect(np.arange(1.0, prompts + 1))
    assert smallest_p_value(prompts) == effect.p_value == smallest
    assert (effect.effect, effect.prompts, effect.seeds) == ((prompts + 1) / 2, prompts, 1)


def test_of_more_prompts_patterns_are_drawn_with_a_seed():
    assert smallest_p_value(17) == smallest_p_value(40) == 2 / 10_000
    assert paired_effect(np.arange(1.0, 18.0)).p_value >= smallest_p_value(17)
    differences = np.random.default_rng(0).normal(0.3, 1, 40)
    assert 0 < paired_effect(differences).p_value < 1
    assert paired_effect(differences) == paired_effect(differences[None]), "and one seed needs no axis"


def test_the_interval_of_one_seed_is_the_textbooks_and_leans_where_the_data_do():
    z = norm.ppf((np.arange(40) + 0.5) / 40)
    even, skewed = paired_effect(1 + z), paired_effect(np.exp(z))
    reach = 1.96 * z.std() / 40**0.5
    assert (even.low, even.high) == pytest.approx((1 - reach, 1 + reach), abs=0.1 * reach)
    assert skewed.high - skewed.effect > 1.2 * (skewed.effect - skewed.low)


# hundredths: sums are then either tied or far apart, and no rounding decides
@given(st.lists(st.integers(-500, 500), min_size=3, max_size=9).filter(lambda values: np.ptp(values) > 0))
def test_the_p_value_enumerates_all_sign_flips(values):
    differences = np.array(values) / 100
    assert paired_effect(differences).p_value == pytest.approx(plain_p_value(differences), abs=1e-9)


def test_a_sum_that_is_zero_but_for_rounding_is_zero():
    differences = np.array([0.02, 0.01, -0.01, 0.0, 0.03, -0.04, -0.01])
    assert np.sum(differences) != 0
    assert paired_effect(differences).p_value == 1


@pytest.mark.parametrize(
    "table",
    [
        *([0.5] * 12, [0.0] * 12, [1.0] * 11 + [1.0 + 2e-16], [1.0, np.nan] * 6, [np.inf] + [0.0] * 11, [1.0], []),
        *(np.full((3, 12), 0.5), np.repeat([[0.1], [0.2], [0.7]], 12, axis=1), np.ones((3, 1)), np.ones((0, 12))),
        np.array([[1e6, -1e6 + 0.1], [-1e6 + 0.3, 1e6 + 0.2]]),  # equal on average, but for rounding
        np.where(np.eye(3, 12) > 0, np.nan, np.arange(12.0)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_constant_or_missing_data_have_neither_test_nor_interval(table):
    effect = paired_effect(np.array(table))
    assert np.isnan(effect.p_value)
    assert (effect.low, effect.high) == (None, None)


def test_many_differences_are_tested_at_once_as_one_by_one():
    differences = np.random.default_rng(2).normal(0.3, 1, (3, 2, 9))
    each = [[paired_effect(row).p_value for row in pair] for pair in differences]
    np.testing.assert_allclose(sign_flip_p_value(differences), each, rtol=1e-12)


def crossed_error(table: np.ndarray) -> tuple[float, float]:
    """The two-way random-effects analysis of variance, cell by cell, as a textbook has it."""
    seeds, prompts = table.shape
    grand = table.mean()
    of_seeds = sum(prompts * (row.mean() - grand) ** 2 for row in table) / (seeds - 1)
    of_prompts = sum(seeds * (column.mean() - grand) ** 2 for column in table.T) / (prompts - 1)
    residual = sum(
        (table[i, j] - table[i].mean() - table[:, j].mean() + grand) ** 2 for i in range(seeds) for j in range(prompts)
    ) / ((seeds - 1) * (prompts - 1))
    variance = max(of_seeds + of_prompts - residual, residual)
    degrees = variance**2 / (
        of_seeds**2 / (seeds - 1) + of_prompts**2 / (prompts - 1) + residual**2 / ((seeds - 1) * (prompts - 1))
    )
    return np.sqrt(variance / (seeds * prompts)), degrees


def crossed_t_test(table: np.ndarray) -> float:
    error, degrees = crossed_error(table)
    return 2 * t.sf(abs(table.mean()) / error, degrees)


def crossed_reach(table: np.ndarray) -> float:
    error, degrees = crossed_error(table)
    return error * t.ppf(0.975, degrees)


def test_errors_of_many_tables_at_once_are_each_tables():
    tables = np.random.default_rng(8).normal(0, 1, (6, 4, 5)) * np.geomspace(0.1, 10, 5)  # some are noise alone
    tables[3:] += np.random.default_rng(9).normal(0, 3, (3, 4, 1))
    np.testing.assert_allclose(crossed_standard_error(tables), np.transpose([crossed_error(one) for one in tables]))


def test_the_interval_over_seeds_is_the_wider_of_the_t_tests_and_the_bootstraps():
    rng = np.random.default_rng(10)
    of_seeds, alone = rng.normal(0, 1, (3, 1)) + rng.normal(0, 0.1, (3, 8)), rng.normal(0, 1, (10, 16))
    (wide, narrow), effects = map(crossed_reach, (of_seeds, alone)), [paired_effect(one) for one in (of_seeds, alone)]
    assert (effects[0].low, effects[0].high) == pytest.approx((of_seeds.mean() - wide, of_seeds.mean() + wide))
    drawn = [alone[np.ix_(rng.integers(0, 10, 10), rng.integers(0, 16, 16))].mean() for _ in range(4000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (effects[1].low, effects[1].high) == pytest.approx((low, high), abs=0.03 * (high - low))
    assert high - low > 2.2 * narrow, "else it would not be seen"


@pytest.mark.parametrize(("value", "kept"), [(0.25, 0.25), (0.0, 0.0), (None, None), (np.nan, None), (np.inf, None)])
def test_records_hold_finite_values_only(value, kept):
    assert finite(value) == kept


def test_the_larger_p_value_of_flips_and_of_the_crossed_t_test_counts():
    table = np.random.default_rng(4).normal(0.5, 1, (3, 10))
    effect = paired_effect(table)
    assert effect.p_value == pytest.approx(max(paired_effect(table.mean(axis=0)).p_value, crossed_t_test(table)))
    assert effect.effect == pytest.approx(table.mean())
    assert (effect.prompts, effect.seeds) == (10, 3)
    shifted = np.random.default_rng(5).normal(0, 0.1, (3, 10)) + np.array([[0.1], [1.0], [1.9]])
    assert paired_effect(shifted.mean(axis=0)).p_value < 0.01, "flips over prompts do not see what a seed does to all"
    assert paired_effect(shifted).p_value == pytest.approx(crossed_t_test(shifted))
    assert paired_effect(shifted).p_value > 0.1
    assert paired_effect(shifted[:2]).p_value == pytest.approx(crossed_t_test(shifted[:2])), "two seeds are several"
    assert effect == paired_effect(table), "seeded"


def test_the_interval_over_seeds_covers_the_mean_and_one_that_ignores_them_does_not():
    rng = np.random.default_rng(5)
    tables = [
        1 + rng.normal(0, 1, (5, 1)) + rng.normal(0, 1, 12) + rng.normal(0, 0.5, (5, 12))  # seeds, prompts, both
        for _ in range(100)
    ]
    crossed = [paired_effect(table) for table in tables]
    ignorant = [paired_effect(table.mean(axis=0)) for table in tables]
    cover, cover_ignorant = (np.mean([e.low <= 1 <= e.high for e in effects]) for effects in (crossed, ignorant))
    width, width_ignorant = (np.mean([e.high - e.low for e in effects]) for effects in (crossed, ignorant))
    assert 0.85 <= cover <= 0.98, "a percentile interval of five seeds is a little short"
    assert cover_ignorant < 0.8
    assert width > 1.3 * width_ignorant


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
