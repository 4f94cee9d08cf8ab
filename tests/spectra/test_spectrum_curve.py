import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stance_suite.schema.spectra import LayerSpectrum, SpectrumCurve
from stance_suite.spectra.power_law import tail_curve
from stance_suite.spectra.spectrum_curve import curve_at, thin_spectrum


def layer(values) -> LayerSpectrum:
    """A spectrum as it is measured, zero and equal eigenvalues included."""
    values = np.sort(np.asarray(values, dtype=float))
    curve = tail_curve(values)
    return LayerSpectrum(
        name="a",
        rows=len(values),
        columns=len(values),
        fit=curve and curve.fit(curve.best),
        runner_up=curve and curve.fit(curve.runner_up),
        **dict.fromkeys(("norm", "stable_rank", "spectral_norm", "entropy", "matrix_rank"), 1),
        eigenvalues=tuple(values.tolist()),
    )


def lognormal(count, seed=0):
    return np.random.default_rng(seed).lognormal(0, 1, count)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(0, 3), st.integers(1, 5))
def test_curves_are_the_spectrums_whatever_it_looks_like(seed, count, zeros, repeats):
    values = np.sort(np.concatenate([np.zeros(zeros), np.repeat(lognormal(count, seed).round(2) + 0.01, repeats)]))
    spectrum = layer(values)
    curve = thin_spectrum(spectrum)
    assert curve.count == count * repeats
    assert curve.eigenvalues[-1] == pytest.approx(values[-1], rel=5e-6)
    assert curve.sizes[-1] == np.count_nonzero(values == values[-1])
    assert list(curve.sizes) == sorted(set(curve.sizes), reverse=True)
    assert list(curve.eigenvalues) == sorted(set(curve.eigenvalues))
    assert len(curve.sizes) <= 70
    whole = tail_curve(values)
    for size, eigenvalue, distance in zip(curve.sizes, curve.eigenvalues, curve.ks_distances, strict=True):
        assert np.count_nonzero(values >= eigenvalue * (1 - 5e-6)) == size
        if whole is None or size == curve.sizes[-1]:
            continue  # the last tails: see below
        tails = whole.distances[whole.points[:-1] == values[-size]]
        assert (1.0 if distance is None else distance) == pytest.approx(tails.min(), abs=3e-5)
    if spectrum.fit is not None:
        place = curve.sizes.index(spectrum.fit.tail_size)
        assert curve.eigenvalues[place] == pytest.approx(spectrum.fit.xmin, rel=5e-6)
        lowest = min(one for one in curve.ks_distances if one is not None)
        assert curve.ks_distances[place] == lowest == pytest.approx(spectrum.fit.ks_distance, rel=5e-6)


def test_a_curve_can_be_had_at_any_sizes():
    values = lognormal(100)
    curve, whole = curve_at(values, [60, 7, 60, 1000]), curve_at(values, range(1, 101))
    assert curve.sizes == (100, 60, 7)
    assert curve.eigenvalues == pytest.approx([values.min(), np.sort(values)[40], np.sort(values)[93]], rel=5e-6)
    distances = dict(zip(whole.sizes, whole.ks_distances, strict=True))
    assert curve.ks_distances == tuple(distances[size] for size in curve.sizes)


def test_sizes_are_spaced_evenly_in_the_logarithm_and_close_around_the_fits():
    spectrum = layer(lognormal(576))
    curve = thin_spectrum(spectrum)
    fitted = [spectrum.fit.tail_size, spectrum.runner_up.tail_size]
    for size in fitted:
        assert {size + step for step in range(-2, 3)} <= set(curve.sizes)
    apart = [size for size in curve.sizes if min(abs(size - one) for one in fitted) > 2 and size > 12]
    steps = np.diff(np.log(apart))
    assert len(apart) > 25
    assert np.quantile(np.abs(steps), 0.8) < 1.4 * np.median(np.abs(steps))
    assert set(range(1, 8)) <= set(curve.sizes), "at the top every point is there"
    # the runner-up is a minimum, too
    place = curve.sizes.index(spectrum.runner_up.tail_size)
    assert curve.ks_distances[place] == pytest.approx(spectrum.runner_up.ks_distance, rel=5e-6)
    assert curve.ks_distances[place] == min(curve.ks_distances[place - 2 : place + 3])


def test_no_tail_starts_at_the_last_points():
    assert thin_spectrum(layer(lognormal(200))).ks_distances[-2:] != (None, None)
    assert thin_spectrum(layer(lognormal(200))).ks_distances[-1] is None
    few = thin_spectrum(layer(lognormal(19)))
    assert few.sizes == tuple(range(19, 0, -1))
    assert [size for size, one in zip(few.sizes, few.ks_distances, strict=True) if one is None] == list(range(7, 0, -1))


def test_what_cannot_be_fitted_has_a_curve_unless_no_eigenvalue_is_above_the_cutoff():
    for values in ([2.0], [2.0] * 30, [0.0, 2.0]):
        assert thin_spectrum(layer(values)).ks_distances == (None,)
    for values in ([], [0.0, 0.0], [1e-6, 1e-5]):
        assert thin_spectrum(layer(values)) is None
        assert thin_spectrum(layer(values).model_copy(update={"eigenvalues": None})) is None


def test_figures_have_six_digits():
    curve = thin_spectrum(layer(np.geomspace(1e-3, 1e7, 100) * np.pi))
    for figure in (*curve.eigenvalues, *(one for one in curve.ks_distances if one is not None)):
        assert figure == float(f"{figure:.6g}")


def test_a_curve_that_is_not_one_is_refused():
    with pytest.raises(ValidationError, match="as many sizes"):
        SpectrumCurve(sizes=(2, 1), eigenvalues=(1.0, 2.0), ks_distances=(0.1,))
    with pytest.raises(ValidationError, match="at least one"):
        SpectrumCurve(sizes=(), eigenvalues=(), ks_distances=())
