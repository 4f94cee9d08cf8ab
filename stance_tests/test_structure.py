"""Structural claims: what fine-tuning did to the weights, and whether the controls show the same."""

import pytest


@pytest.mark.stance_metrics("structural")
def test_structural_claim(verdict):
    assert verdict.as_expected, verdict.reason
