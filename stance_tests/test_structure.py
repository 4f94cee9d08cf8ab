"""Structural claims: what fine-tuning did to the weights, and whether the controls show the same."""

import pytest


@pytest.mark.stance_metrics(
    "alpha_change_percent",
    "relative_change_percent",
    "change_stable_rank",
    "change_top_ten_energy_percent",
)
def test_structural_claim(verdict):
    assert verdict.as_expected, verdict.reason
