"""Fine-tuning did what it is meant to do: without this, no finding means anything."""

import math

import pytest


def test_the_loss_falls(stance_run):
    trained = [record for record in (stance_run.tuned, stance_run.sham) if record is not None and record.training]
    if not trained:
        pytest.skip("it was trained elsewhere")
    for record in trained:
        losses = record.training.epoch_losses
        assert all(math.isfinite(loss) for loss in losses)
        assert losses[-1] < losses[0]


def test_every_matrix_is_measured(stance_run, spectral_delta):
    assert stance_run.tuned.spectra
    assert set(spectral_delta) == {layer.name for layer in stance_run.base.spectra}
    assert all(layer.fit is not None for layer in stance_run.tuned.spectra)


def test_the_model_still_writes(stance_run):
    texts = [response.text for response in stance_run.tuned.behavior.responses]
    assert all(texts)
    assert len(set(texts)) > len(texts) // 2, "most responses are the same text"
