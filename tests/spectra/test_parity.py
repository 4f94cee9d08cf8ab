"""The installed WeightWatcher is the reference, on every matrix of real weights."""

import logging
import warnings

import pytest

from stance_suite.models import load
from stance_suite.spectra import measure_spectra
from stance_suite.spectra.matrices import sort_parameters


@pytest.fixture(scope="module")
def model(smollm2):
    return load(smollm2)[0]


@pytest.fixture(scope="module")
def reference(model):
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import weightwatcher

        table = weightwatcher.WeightWatcher(model=model).analyze(plot=False)
    logging.disable(logging.NOTSET)
    return table.set_index("longname")


def test_every_matrix_of_smollm2_has_weightwatchers_figures(model, reference):
    spectra = measure_spectra(sort_parameters(model.named_parameters()).matrices)
    assert len(spectra) == 211
    # WeightWatcher analyzes the tied output embedding a second time
    assert {layer.name for layer in spectra} == set(reference.index) - {"lm_head"}
    for layer in spectra:
        row = reference.loc[layer.name]
        ours = (layer.fit.alpha, layer.fit.xmin, layer.fit.ks_distance, layer.fit.sigma, layer.stable_rank)
        theirs = tuple(row[column] for column in ("alpha", "xmin", "D", "sigma", "stable_rank"))
        assert ours == pytest.approx(theirs, rel=1e-6), layer.name
        assert layer.spectral_norm**2 == pytest.approx(row["spectral_norm"], rel=1e-6), layer.name
        assert layer.fit.tail_size == row["num_pl_spikes"], layer.name
        assert len(layer.eigenvalues) == row["num_evals"], layer.name
