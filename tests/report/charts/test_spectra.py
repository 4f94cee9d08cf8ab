import numpy as np
import pytest

from stance_suite.report.charts.data import spectrum_data
from stance_suite.report.charts.spectra import esd, tail_choice
from stance_suite.report.charts.theme import PRINT
from stance_suite.schema.spectra import LayerSpectrum, PowerLaw
from stance_suite.spectra.spectrum_curve import thin_spectrum
from tests.edits import altered
from tests.measured import record
from tests.report.charts.drawn import end, flipping, marks, place

COUNT, TAIL = 200, 100


def spectrum(alpha: float, **changes) -> LayerSpectrum:
    """A spectrum whose upper half lies on a power law exactly."""
    ranks = np.arange(COUNT, 0, -1)
    values = np.where(ranks <= TAIL, (ranks / TAIL) ** (-1 / (alpha - 1)), np.linspace(0.1, 0.99, COUNT))
    fit = PowerLaw(alpha=alpha, xmin=float(values[COUNT - TAIL]), ks_distance=0.05, sigma=0.1, tail_size=TAIL)
    plain = record("base").spectra[0]
    return altered(plain, **{"eigenvalues": tuple(values.tolist()), "fit": fit, "runner_up": None} | changes)


def test_a_fitted_tail_lies_on_the_points_that_it_describes():
    datasets = spectrum_data(spectrum(3.0), spectrum(2.5))
    points, lines = marks(esd(PRINT, 400), datasets, "symbol"), marks(esd(PRINT, 400), datasets, "rule")
    assert [line["stroke"] for line in lines] == [PRINT.before, PRINT.after]
    assert [place(one) for one in points if one["shape"] == "stroke"] == [place(line) for line in lines]
    for line in lines:
        own = {place(point) for point in points if point["stroke"] == line["stroke"]}
        last = max(own)
        assert end(line, "x") == pytest.approx(last[0], abs=0.5)
        assert end(line, "y") == pytest.approx(last[1], abs=0.5)
        assert min(abs(at[0] - line["x"]) + abs(at[1] - line["y"]) for at in own) < 5


def test_an_outlier_does_not_draw_a_fitted_tail_far_below_the_points():
    plain = spectrum(3.0)
    outlier = altered(plain, eigenvalues=(*plain.eigenvalues[:-1], 1000 * plain.eigenvalues[-1]))
    datasets = spectrum_data(plain, outlier)
    points, lines = marks(esd(PRINT, 400), datasets, "symbol"), marks(esd(PRINT, 400), datasets, "rule")
    rows = sorted({place(point)[1] for point in points if point["shape"] != "stroke"}, reverse=True)
    halving = rows[0] - rows[1]  # from one eigenvalue to two, on a logarithmic axis
    assert end(lines[1], "y") == pytest.approx(rows[0] + halving, abs=0.5)
    assert end(lines[1], "x") < max(place(point)[0] for point in points)


def test_before_and_after_differ_in_shape_and_filling_and_not_in_color_alone():
    drawn = marks(esd(PRINT, 400), spectrum_data(spectrum(3.0), spectrum(3.0)), "symbol")
    looks = {(item["stroke"], item["shape"], item["fill"]) for item in drawn if item["shape"] != "stroke"}
    assert looks == {(PRINT.before, "circle", "transparent"), (PRINT.after, "diamond", PRINT.after)}
    circles = [place(item)[0] for item in drawn if item["shape"] == "circle"]
    assert 30 < len(circles) < 80, "dense points are thinned, and those of the tail all stay"
    assert len(set(sorted(circles)[-8:])) == 8


def test_a_thinned_spectrum_gives_the_same_fits():
    full = [spectrum(3.0), spectrum(2.5)]
    thin = [altered(one, curve=thin_spectrum(one), eigenvalues=None) for one in full]
    ours, theirs = spectrum_data(*full), spectrum_data(*thin)
    assert len(theirs["spectrum"]) < len(ours["spectrum"]) / 2
    for one, other in zip(ours["fits"], theirs["fits"], strict=True):
        assert other == one | {"largest": pytest.approx(one["largest"], rel=1e-5)}


def test_tails_are_shown_near_the_minima_and_the_fit_is_told_from_its_runner_up():
    pair = flipping()
    datasets = spectrum_data(*pair)
    distances = {
        when: [row["ks"] for row in datasets["spectrum"] if row["when"] == when and row["ks"] is not None]
        for when in ("before", "after")
    }
    points = marks(tail_choice(PRINT, 400), datasets, "line")
    near = sum(one < 1.6 * min(found) for found in distances.values() for one in found)
    assert len(points) == near < sum(map(len, distances.values()))
    chosen = marks(tail_choice(PRINT, 400), datasets, "symbol")
    looks = [(item["stroke"], item["shape"], item["fill"]) for item in chosen]
    assert looks == [
        (PRINT.before, "circle", PRINT.before),
        (PRINT.before, "circle", "transparent"),
        (PRINT.after, "diamond", PRINT.after),
        (PRINT.after, "diamond", "transparent"),
    ]
    lowest = {
        item["stroke"]: max(place(point)[1] for point in points if point["stroke"] == item["stroke"]) for item in chosen
    }
    for item in (chosen[0], chosen[2]):
        assert place(item)[1] == pytest.approx(lowest[item["stroke"]])
