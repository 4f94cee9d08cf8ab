import pytest

from stance_suite.judgments import ControlFigure, Verdict
from stance_suite.reports.controls import control_range, drawn_bounds, effects_tested, noise_floor, own_effects
from tests.runs import behavioral, structural


@pytest.fixture
def stance(library):
    return library.stance("curious-uncertainty")


def verdict(claim, *names) -> Verdict:
    """Each control's figure is its place, and its interval reaches by a tenth to both sides."""
    controls = tuple(
        ControlFigure(name=name, figure=place, low=place - 0.1, high=place + 0.1) for place, name in enumerate(names)
    )
    return Verdict(claim=claim, model="m", status="HOLDS", reason="so", figure=1.0, controls=controls)


def names(controls) -> list[str]:
    return [control.name for control in controls]


def test_with_a_sham_the_base_sampled_again_is_the_floor(stance):
    judged = verdict(behavioral(stance), "base", "sham", "sham - base", "base resampled", "toward b", "seen prompts")
    assert names(effects_tested(judged)) == ["base", "sham"]
    assert names(own_effects(judged)) == ["sham - base", "base resampled"]
    assert noise_floor(judged).name == "base resampled"
    assert control_range(judged) == (1.9, 3.1)


def test_without_a_sham_the_claim_was_tested_against_it(stance):
    judged = verdict(behavioral(stance), "base", "base resampled", "base resampled - base", "toward b")
    assert names(effects_tested(judged)) == ["base", "base resampled"]
    assert noise_floor(judged).name == "base resampled - base"
    stand_ins = verdict(behavioral(stance), "base", "noise", "rounding", "noise - base", "rounding - base")
    assert names(effects_tested(stand_ins)) == ["base", "noise", "rounding"]
    assert noise_floor(stand_ins).name == "noise - base"


def test_what_a_comparison_lists_are_effects_compared(stance):
    compared = behavioral(stance, versus={"recipe": "long"})
    judged = verdict(compared, "base", "sham", "m, a (documented) - base", "m, a (long) - base")
    assert names(effects_tested(judged)) == ["base", "sham"]
    assert own_effects(judged) == ()
    assert noise_floor(judged) is None
    assert control_range(judged) is None


def test_of_structure_every_control_is_its_own(stance):
    judged = verdict(structural(stance), "sham", "noise", "rounding")
    assert names(own_effects(judged)) == ["sham", "noise", "rounding"]
    assert control_range(judged) == (-0.1, 2.1)
    assert control_range(verdict(structural(stance))) is None


def test_a_comparison_of_structure_is_made_of_every_control(stance):
    judged = verdict(
        structural(stance, over="mean", versus={"recipe": "long", "by": "ratio"}), "sham", "noise", "rounding"
    )
    assert names(own_effects(judged)) == ["sham", "noise", "rounding"]
    assert control_range(judged) == (-0.1, 2.1)
    assert noise_floor(judged) is None


def test_where_layers_are_compared_the_other_training_is_no_control(stance):
    same = structural(stance, comparator="same_layer", bound=None, versus={"recipe": "long"})
    judged = verdict(
        same, "layers.1.up, m, a (long)", "sham: layers.2.up", "noise: layers.1.up", "rounding: layers.0.q"
    )
    assert names(own_effects(judged)) == ["sham: layers.2.up", "noise: layers.1.up", "rounding: layers.0.q"]
    assert control_range(judged) == (0.9, 3.1)
    assert control_range(verdict(same, "layers.1.up, m, a (long)")) is None


def test_bounds_of_a_magnitude_a_range_and_none(stance):
    assert drawn_bounds(verdict(structural(stance))) == (-1, 1)
    assert drawn_bounds(verdict(behavioral(stance))) == (0.05,)
    between = structural(stance, comparator="between", bound=[2, 3])
    assert drawn_bounds(verdict(between)) == (2, 3)
    same = structural(stance, comparator="same_layer", bound=None, versus={"recipe": "long"})
    assert drawn_bounds(verdict(same)) == ()
