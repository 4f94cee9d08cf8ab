"""Structural claims: what fine-tuning did to the weights, and whether the controls show the same."""

import pytest


@pytest.mark.stance_metrics(
    "alpha",
    "alpha_change_percent",
    "relative_change_percent",
    "change_stable_rank",
    "change_top_ten_energy_percent",
    "singular_subspace_overlap",
    "vector_change_percent",
    "changed_layers",
    "changed_depth_percent",
    "participation_ratio",
)
def test_structural_claim(verdict):
    assert verdict.as_expected, verdict.reason
