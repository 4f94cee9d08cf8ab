"""Behavioral claims: did fine-tuning move how the model speaks, toward its stance and beyond the controls?"""

import pytest


@pytest.mark.stance_metrics("behavioral")
def test_behavioral_claim(verdict):
    assert verdict.as_expected, verdict.reason
