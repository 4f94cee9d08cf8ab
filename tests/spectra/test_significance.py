import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import false_discovery_control, gamma, norm

from stance_suite.schema.spectra import EXTREMES_KEPT, SIGNIFICANCE_OF_LAYERS, NoiseRange, kept_ranks
from stance_suite.spectra.significance import (
    RESOLVED_BY_DRAWS,
    SMALLEST_P_VALUE,
    adjust_p_values,
    range_above,
    range_below,
    range_either_way,
)
from tests.edits import altered
from tests.measured import layer

QUANTILES = (np.arange(999) + 0.5) / 999
EITHER_WAY, ABOVE = 0.01 + norm.ppf(QUANTILES), gamma(4).ppf(QUANTILES)


def test_a_change_is_held_against_the_size_of_noises():
    draws = np.array([-3.0, -2, -1, 0, 1, 2, 3])
    assert [range_either_way(draws, size).p_value for size in (2.0, -2.0, 2.1, 4.0)] == [5 / 8, 5 / 8, 3 / 8, 1 / 8]
    found = range_either_way(draws, 4.0)
    assert (found.low, found.high) == pytest.approx((-2.85, 2.85))
    assert found.adjusted_p_value == found.p_value


@pytest.mark.parametrize(("draws", "measured"), [([], 1.0), ([1.0, np.nan], 1.0), ([1.0, 2.0], np.nan)])
def test_a_change_that_noise_was_not_drawn_for_has_no_range(draws, measured):
    assert range_either_way(np.array(draws), measured) is None


@pytest.mark.parametrize(
    ("hold", "draws", "outward"),
    [(range_either_way, EITHER_WAY, 1), (range_above, ABOVE, 1), (range_below, 1 / ABOVE, -1)],
)
def test_just_beyond_what_is_detectable_a_figure_is_significant(hold, draws, outward):
    limit = hold(draws, 1.0).detectable
    inside, beyond = (hold(draws, limit * (1 + step * outward)).p_value for step in (-1e-9, 1e-9))
    assert inside > SIGNIFICANCE_OF_LAYERS >= beyond == pytest.approx(SIGNIFICANCE_OF_LAYERS)
    low, high = np.quantile(draws, [0.025, 0.975])
    assert (hold(draws, 1.0).low, hold(draws, 1.0).high) == (low, high)
    assert hold(draws[:19], 1.0).detectable == (min if outward < 0 else max)(abs(draws[:19]))
    assert hold(draws[:18], 1.0).detectable is None, "one of 19 is more than the level"


def test_figures_are_counted_where_draws_tell_and_extrapolated_beyond():
    counted = np.sort(ABOVE)[-RESOLVED_BY_DRAWS]
    for measured, p_value in (
        (counted, (1 + RESOLVED_BY_DRAWS) / 1000),
        (counted * 1.0001, pytest.approx(gamma(4).sf(counted), rel=0.1)),
        (20.0, pytest.approx(gamma(4).sf(20.0), rel=0.5)),  # a Pearson type III law is a gamma's
        (1000.0, SMALLEST_P_VALUE),
    ):
        assert range_above(ABOVE, measured).p_value == p_value
        assert range_below(1 / ABOVE, 1 / measured).p_value == p_value


def test_noise_without_spread_is_counted_and_no_law_makes_a_p_value_larger():
    assert range_above(np.ones(9), 2.0).p_value == 1 / 10
    assert range_above(np.ones(9), 1.0).p_value == 1
    few = np.array([0.0, 1.0])
    assert range_above(few, 0.9).p_value == pytest.approx(norm.sf(0.8)), "two draws have no skewness"
    assert range_above(few, 0.4).p_value == pytest.approx(norm.sf(-0.2))
    assert range_above(few, 0.0).p_value == pytest.approx(norm.sf(-1))


def test_p_values_share_the_level_over_all_figures_of_changed_layers():
    p_values = iter([0.01, 0.02, 0.03, 0.04, 0.001, 0.5, 0.9])
    changes = [layer(name, None) for name in "abc"]
    figures = ("alpha_total", "alpha_spectrum", "stable_rank", "top_ten_energy")
    for row, left_out in ((0, ()), (2, ("alpha_total",))):
        noise = changes[row].noise
        drawn = {one: altered(getattr(noise, one), p_value=next(p_values)) for one in figures if one not in left_out}
        changes[row] = altered(changes[row], noise=altered(noise, **dict.fromkeys(left_out), **drawn))
    changes[1] = altered(changes[1], noise=None)
    assert adjust_p_values(changes[1:2]) == (changes[1],)
    first, second, third = adjust_p_values(changes)
    assert second == changes[1]
    found = [getattr(one.noise, figure) for one in (first, third) for figure in figures]
    expected = false_discovery_control([0.01, 0.02, 0.03, 0.04, 0.001, 0.5, 0.9])
    assert [one.adjusted_p_value for one in found if one is not None] == pytest.approx(expected)
    assert [one.p_value for one in found if one is not None] == [0.01, 0.02, 0.03, 0.04, 0.001, 0.5, 0.9]


@pytest.mark.parametrize("draws", [2, 19, 20, 40, 200, 1000])
def test_all_extreme_draws_are_kept_and_some_between(draws):
    """Each figure is the place that it has among the draws, in ascending order."""
    places = np.random.default_rng(draws).permutation(draws) + 1.0
    found = range_above(places, 1.0)
    assert (found.draws, len(found.kept)) == (draws, min(draws, 19))
    assert found.kept == kept_ranks(draws)
    assert list(found.kept) == sorted(set(found.kept))
    extremes = min(draws, EXTREMES_KEPT)
    assert set(found.kept) >= {*range(1, extremes + 1), *range(draws - extremes + 1, draws + 1)}
    assert max(np.diff(found.kept)) <= max(1, draws / 9)
    with pytest.raises(ValidationError, match="are kept, not"):
        NoiseRange(**found.model_dump() | {"kept": found.kept[1:]})
    assert range_above(places / 7, 1.0).kept[0] == 0.1429, "four digits"
