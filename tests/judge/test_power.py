import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from stance_suite.judge.power import Design, Spread, detectable_effect, estimate_spread, power, power_of_no_change
from stance_suite.judge.statistics import paired_effect

DESIGN = Design(prompts=10, samples=4, seeds=1, family=9)
SPREAD = Spread(prompts=1.0, samples=1.5, seeds=0.0)


def simulated_contrasts(rng, design, spread, effect):
    """One experiment, sample by sample: three arms, of which only the tuned one has the effect."""
    shape = (design.seeds, design.prompts, design.samples)

    def arm(mean):
        of_prompts = rng.normal(0, spread.prompts / 2**0.5, (1, design.prompts, 1))
        of_seeds = rng.normal(0, spread.seeds / 2**0.5, (design.seeds, 1, 1))
        return (mean + of_prompts + of_seeds + rng.normal(0, spread.samples, shape)).mean(axis=-1)

    tuned, base, sham = arm(effect), arm(0.0), arm(0.0)
    return np.stack([tuned - base, tuned - sham])


@pytest.mark.parametrize(
    ("design", "spread", "effect", "bound"),
    [
        (Design(8, 3, 1, 2), Spread(1.0, 1.0, 0.0), 1.5, 0.0),
        (Design(8, 3, 4, 2), Spread(1.0, 2.0, 0.5), 2.6, 0.0),
        (Design(8, 3, 4, 1), Spread(0.5, 1.0, 0.2), 1.9, 0.8),
        (Design(8, 3, 5, 2), Spread(0.5, 0.5, 1.0), 2.6, 0.0),
        (Design(10, 1, 1, 9), Spread(1.0, 0.0, 0.0), 2.0, 0.0),
    ],
    ids=["prompts and samples", "several seeds", "the bound decides", "seeds differ most", "deterministic"],
)
def test_power_is_what_a_loop_of_experiments_finds(design, spread, effect, bound):
    rng = np.random.default_rng(0)
    experiments = np.stack([simulated_contrasts(rng, design, spread, effect) for _ in range(300)])
    level = design.level / design.family
    found = [[paired_effect(table) for table in contrasts] for contrasts in experiments]
    holds = np.array([all(one.effect > bound and one.p_value_of(bound) <= level for one in pair) for pair in found])
    assert 0.3 < holds.mean() < 0.9, "where a mistake would show"
    error = math.sqrt(holds.mean() * (1 - holds.mean()) * (1 / 300 + 1 / 4000))
    assert power(design, spread, effect, bound) == pytest.approx(holds.mean(), abs=3.5 * error)


def test_at_the_detectable_effect_a_paired_t_test_of_normal_data_holds_as_often():
    design, spread = Design(32, 1, 1, 9), Spread(1.0, 0.0, 0.0)
    rng = np.random.default_rng(1)
    effect = detectable_effect(design, spread, 0.0)
    experiments = np.stack([simulated_contrasts(rng, design, spread, effect)[:, 0] for _ in range(3000)])
    holds = np.all(ttest_1samp(experiments, 0, axis=-1).pvalue <= 0.05 / 9, axis=1)
    assert holds.mean() == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("prompts", [7, 9, 12, 20])
def test_without_an_effect_a_claim_hardly_ever_holds(prompts):
    design = Design(prompts, 2, 1, 1)
    at_zero = power(design, SPREAD, 0.0, 0.0)
    assert 0 < at_zero <= 0.025, "half the level: the other half is for the wrong sign"
    assert power(replace(design, family=9), SPREAD, 0.0, 0.0) <= 0.05 / 9


@pytest.mark.parametrize(("seeds", "level"), [(0.0, 0.025), (1.0, 0.03)])
def test_seeds_that_vary_make_no_effects_of_their_own(seeds, level):
    assert power(Design(12, 4, 3, 1), Spread(1.0, 1.0, seeds), 0.0, 0.0) <= level


def test_power_grows_with_effect_prompts_samples_and_seeds_and_shrinks_with_family_bound_and_spread():
    def grows(values):
        assert values == sorted(values), values
        assert values[0] < values[-1]

    grows([power(DESIGN, SPREAD, effect, 0.0) for effect in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)])
    grows([power(replace(DESIGN, prompts=prompts), SPREAD, 1.5, 0.0) for prompts in (8, 9, 10, 12, 17)])
    grows([power(replace(DESIGN, samples=samples), SPREAD, 1.5, 0.0) for samples in (1, 2, 4, 8, 100)])
    grows([power(replace(DESIGN, seeds=seeds), SPREAD, 1.5, 0.0) for seeds in (2, 3, 5)])
    grows([power(replace(DESIGN, family=family), SPREAD, 1.5, 0.0) for family in (26, 25, 9, 3, 1)])
    grows([power(DESIGN, SPREAD, 1.5, bound) for bound in (1.5, 1.2, 0.9, 0.0)])
    grows([power(DESIGN, replace(SPREAD, prompts=prompts), 1.5, 0.0) for prompts in (3.0, 2.0, 1.0, 0.5)])


def test_the_detectable_effect_is_the_smallest_with_the_power_wanted():
    for wanted in (0.5, 0.8, 0.95):
        effect = detectable_effect(DESIGN, SPREAD, 0.4, wanted)
        assert power(DESIGN, SPREAD, effect, 0.4) >= wanted
        assert power(DESIGN, SPREAD, effect * 0.999, 0.4) <= wanted
    assert detectable_effect(DESIGN, Spread(2.0, 3.0, 0.0), 0.0) == pytest.approx(
        2 * detectable_effect(DESIGN, SPREAD, 0.0), rel=1e-5
    ), "in the measure's unit"


def test_at_the_bound_a_claim_hardly_ever_holds_however_narrow_the_spread():
    narrow = Spread(0.01, 0.0, 0.0)
    assert power(DESIGN, narrow, 1.0, 1.0) <= 0.05 / 9
    assert power(DESIGN, narrow, 1.1, 1.0) == 1.0


def test_without_spread_bounded_differences_hold_from_the_effect_on_that_their_bounds_show():
    design = replace(DESIGN, prompts=32, largest=1.0)
    constant, level = Spread(0.0, 0.0, 1.0), design.level / design.family
    needed = detectable_effect(design, constant, 0.1)
    assert power(design, constant, needed, 0.1) == 1.0
    assert power(design, constant, needed * 0.999, 0.1) == 0.0
    assert paired_effect(np.full(32, needed), 1.0).p_value_of(0.1) == pytest.approx(level, rel=1e-3)
    assert detectable_effect(replace(design, prompts=4), constant, 0.1) == math.inf
    assert detectable_effect(design, constant, 1.0) == math.inf


def test_without_spread_over_prompts_there_is_no_test_and_no_power():
    assert np.isnan(paired_effect(np.full(12, 5.0)).p_value)
    assert power(DESIGN, Spread(0.0, 0.0, 1.0), 5.0, 0.0) == 0.0
    assert detectable_effect(DESIGN, Spread(0.0, 0.0, 0.0), 0.0) == math.inf


@pytest.mark.parametrize(
    ("design", "spread", "bound"),
    [
        (Design(16, 3, 1, 2), Spread(1.0, 1.0, 0.0), 1.2),
        (Design(16, 3, 4, 2), Spread(1.0, 1.0, 0.2), 1.2),
        (Design(16, 1, 1, 1), Spread(1.0, 0.0, 0.0), 0.7),
    ],
)
def test_the_power_of_no_change_is_how_often_the_whole_interval_lies_within_the_bound(design, spread, bound):
    rng, confidence = np.random.default_rng(0), 1 - design.level / design.family
    intervals = np.array(
        [paired_effect(simulated_contrasts(rng, design, spread, 0.0)[0]).interval(confidence) for _ in range(400)]
    )
    within = np.mean((intervals[:, 0] > -bound) & (intervals[:, 1] < bound))
    assert 0.3 < within < 0.95, "where a mistake would show"
    error = math.sqrt(within * (1 - within) * (1 / 400 + 1 / 4000))
    assert power_of_no_change(design, spread, bound) == pytest.approx(within, abs=3.5 * error)


def test_no_change_is_shown_of_bounded_differences_that_are_all_zero_if_there_are_enough():
    constant, many = Spread(0.0, 0.0, 0.0), replace(DESIGN, prompts=60, largest=1.0)
    low, high = paired_effect(np.zeros(60), 1.0).interval(1 - 0.05 / 9)
    assert power_of_no_change(many, constant, 1.01 * max(-low, high)) == 1.0
    assert power_of_no_change(many, constant, 0.99 * max(-low, high)) == 0.0
    assert power_of_no_change(replace(many, largest=math.inf), constant, 5.0) == 0.0


@pytest.mark.parametrize(
    ("spread", "bound", "told"),
    [
        *((one, 0.0, "finite and >= 0") for one in (Spread(math.nan, 1, 0), Spread(1, -1, 0), Spread(1, 1, math.inf))),
        *((SPREAD, bound, "the bound is the minimum effect") for bound in (-0.1, math.nan)),
    ],
)
def test_a_spread_that_is_none_and_a_bound_against_the_direction_are_refused(spread, bound, told):
    for asked in (
        lambda: power(DESIGN, spread, 1.0, bound),
        lambda: detectable_effect(DESIGN, spread, bound),
        lambda: power_of_no_change(DESIGN, spread, bound),
    ):
        with pytest.raises(ValueError, match=told):
            asked()


def planted(rng, spread, interaction, seeds, prompts, samples):
    """Differences of two arms, and the sample scores of both under the first seed."""
    of_seeds, of_prompts = rng.normal(0, spread.seeds, (seeds, 1)), rng.normal(0, spread.prompts, prompts)
    both = rng.normal(0, interaction, (seeds, prompts)) if interaction else 0.0
    tuned, base = rng.normal(0, spread.samples, (2, seeds, prompts, samples))
    tuned += (2 + of_seeds + of_prompts + both)[..., None]
    return tuned.mean(axis=-1) - base.mean(axis=-1), (tuned[0], base[0])


@pytest.mark.parametrize(("spread", "interaction"), [(Spread(1.0, 1.2, 1.0), 0.0), (Spread(1.5, 0.8, 0.7), 0.6)])
def test_the_estimate_recovers_planted_spreads(spread, interaction):
    # small tables, so that what must be subtracted matters; averaged, for the moments are unbiased
    rng = np.random.default_rng(2)
    found = [estimate_spread(*planted(rng, spread, interaction, 4, 12, 3)) for _ in range(3000)]
    variances = {name: np.mean([getattr(one, name) ** 2 for one in found]) for name in ("prompts", "samples", "seeds")}
    assert variances["samples"] == pytest.approx(spread.samples**2, rel=0.03)
    assert variances["prompts"] == pytest.approx(spread.prompts**2 + interaction**2, rel=0.04)
    assert variances["seeds"] == pytest.approx(spread.seeds**2, rel=0.06)


def test_one_seed_and_deterministic_measures_show_a_spread_over_prompts_only():
    differences = np.random.default_rng(3).normal(1, 2, 400)
    found = estimate_spread(differences)
    assert (found.samples, found.seeds) == (0.0, 0.0)
    assert found.prompts == pytest.approx(np.std(differences, ddof=1))
    assert estimate_spread(differences, [np.zeros((400, 1))] * 2) == found, "one sample shows no spread within"


def test_noise_alone_is_no_spread_over_prompts_and_none_over_seeds():
    differences = np.array([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    scores = np.tile([-4.0, 4.0], (4, 1))
    found = estimate_spread(differences, [scores, scores])
    assert (found.prompts, found.seeds) == (0.0, 0.0)
    assert found.samples == pytest.approx(32**0.5)


@pytest.mark.parametrize(
    ("differences", "scores"),
    [([1.0], []), ([1.0, math.nan, 2.0], []), ([1.0, 2.0, 4.0], [[[1.0, math.inf]] * 3])],
)
def test_a_spread_cannot_be_estimated_from_what_is_missing(differences, scores):
    with pytest.raises(ValueError, match=r"prompts show no spread|must be finite"):
        estimate_spread(np.array(differences), [np.array(one) for one in scores])
