import numpy as np
import pytest
from scipy.stats import norm

from stance_suite.judge.structure.draws import MODELS, central_range, draw_models, resolved, widened
from stance_suite.schema.layer_figures import UNCHANGED, noise_law
from stance_suite.spectra.significance import range_above, range_either_way
from tests.judge.placed_changes import claim, moved, with_noise
from tests.measured import layer

MANY = np.sort(norm.ppf((np.arange(999) + 0.5) / 999))


def laws(count, scale=1.0, draws=MANY):
    noise = range_either_way(scale * draws, 0.0)
    one = with_noise(layer("h.0", None), alpha_total=noise, alpha_spectrum=noise)
    return {f"h.{index}": noise_law(claim(), one) for index in range(count)}


def test_a_law_goes_through_the_draws_that_are_kept_and_the_ends_of_the_range():
    (law,) = laws(1).values()
    assert law.ends == pytest.approx(norm.ppf([0.025, 0.975]), abs=0.01)
    assert np.interp([0.025, 0.1, 0.5, 0.9, 0.975], law.shares, law.quantiles) == pytest.approx(
        norm.ppf([0.025, 0.1, 0.5, 0.9, 0.975]), abs=0.1
    )
    ends = law.quantiles[0], law.quantiles[-1]
    assert (ends, law.draws) == (pytest.approx((MANY[0], MANY[-1]), rel=1e-3), 999)
    energy = with_noise(layer("h.0", None), top_ten_energy=range_above(np.linspace(0.1, 0.2, 30), 0.5))
    found = noise_law(claim(metric="change_top_ten_energy_percent"), energy)
    assert (found.quantiles[0], found.quantiles[-1], found.draws) == (pytest.approx(10), pytest.approx(20), 30)
    (lost,) = moved(1, noise=(np.nan, 1))
    assert noise_law(claim(), lost) is None


def test_layers_of_a_model_are_drawn_apart_and_the_same_again():
    models, again, other = (draw_models(laws(3), stream) for stream in ("a", "a", "b"))
    table = np.array(list(models.figures.values()))
    assert table.shape == (3, MODELS)
    assert np.abs(np.corrcoef(table) - np.eye(3)).max() < 0.1
    assert table.mean() == pytest.approx(0, abs=0.05)
    assert table.std() == pytest.approx(1, abs=0.1)
    assert np.array_equal(table, np.array(list(again.figures.values())))
    assert not np.array_equal(table, np.array(list(other.figures.values())))
    few = laws(1, draws=MANY[::20])
    assert draw_models(laws(2) | {"few": few["h.0"], "still": UNCHANGED}, "a").rests_on == 50
    known = draw_models({"still": UNCHANGED, "lost": None}, "a")
    assert (list(known.figures), known.rests_on, set(known.figures["still"])) == (["still"], None, {0.0})


@pytest.mark.parametrize(("rests_on", "share"), [(None, 0.025), (199, 0.02010), (39, 0.0), (10, 0.0)])
def test_the_measured_figure_counts_as_a_draw(rests_on, share):
    assert resolved(rests_on) == pytest.approx(share, abs=1e-5)
    figures = np.arange(2000.0)
    found = central_range(figures, rests_on)
    if rests_on == 10:
        assert found is None, "the least share that ten draws tell is one of eleven"
    else:
        assert found == pytest.approx((share * 1999, (1 - share) * 1999), abs=1.01)


def test_what_is_not_finite_has_no_range():
    assert central_range(np.append(np.arange(100.0), [np.inf] * 9), None) is None


@pytest.mark.parametrize("count", [1, 20])
def test_ranges_are_widened_until_all_layers_of_most_models_lie_inside(count):
    """Of independent normal layers the largest is beyond the quantile of the count's root in 5 % of models."""
    uneven = laws(count) | {f"loud.{name}": law for name, law in laws(count, 10.0).items()}
    found = widened(uneven, draw_models(uneven, "a"))
    expected = norm.ppf(0.5 + 0.5 * 0.95 ** (1 / (2 * count)))
    low, high = found["h.0"]
    assert low == pytest.approx(-high, abs=1e-6)
    # straight between the draws that are kept, where the law is not: wider by some percent, never narrower
    assert 0.98 * expected < high < 1.1 * expected
    assert found["loud.h.0"] == pytest.approx((10 * low, 10 * high), rel=1e-3)


def test_few_draws_and_layers_that_do_not_change_widen_nothing_by_chance():
    still = {"still": UNCHANGED}
    assert widened(still, draw_models(still, "a")) == {"still": (0.0, 0.0)}
    few = laws(2, draws=MANY[::60])
    assert widened(few, draw_models(few, "a")) is None, "of 17 draws none is one of twenty"
