import pytest

from stance_suite.report.controls import control_range, drawn_bounds, effects_tested, noise_floor, own_effects
from stance_suite.schema.controls import Role
from stance_suite.schema.verdicts import ControlFigure, Verdict
from tests.runs import behavioral, structural


@pytest.fixture
def stance(library):
    return library.stance("curious-uncertainty")


EFFECT, OWN, FIGURE = Role.EFFECT, Role.OWN_EFFECT, Role.OWN_FIGURE
BASE, SHAM, AGAIN = ("base", EFFECT), ("sham", EFFECT), ("base resampled", EFFECT)
OF_STRUCTURE = [(name, FIGURE) for name in ("sham", "noise", "rounding")]
TOWARD, SEEN = (None, Role.TOWARD, "b"), (None, Role.SEEN_PROMPTS)


def verdict(claim, *controls) -> Verdict:
    """Each control's figure is its place, and its interval reaches by a tenth to both sides."""
    controls = tuple(
        ControlFigure(control=control, role=role, about="".join(about), figure=place, low=place - 0.1, high=place + 0.1)
        for place, (control, role, *about) in enumerate(controls)
    )
    return Verdict(claim=claim, model="m", status="HOLDS", reason="so", figure=1.0, controls=controls)


def names(controls) -> list[str]:
    return [control.name for control in controls]


def test_with_a_sham_the_base_sampled_again_is_the_floor(stance):
    judged = verdict(behavioral(stance), BASE, SHAM, ("sham", OWN, "base"), ("base resampled", FIGURE), TOWARD, SEEN)
    assert names(effects_tested(judged)) == ["base", "sham"]
    assert names(own_effects(judged)) == ["sham - base", "base resampled"]
    assert noise_floor(judged).name == "base resampled"
    assert control_range(judged) == (1.9, 3.1)


def test_without_a_sham_the_claim_was_tested_against_it(stance):
    judged = verdict(
        behavioral(stance), ("base", EFFECT), ("base resampled", EFFECT), ("base resampled", OWN, "base"), TOWARD
    )
    assert names(effects_tested(judged)) == ["base", "base resampled"]
    assert noise_floor(judged).name == "base resampled - base"
    stand_ins = verdict(
        behavioral(stance),
        ("base", EFFECT),
        ("noise", EFFECT),
        ("rounding", EFFECT),
        ("noise", OWN, "base"),
        ("rounding", OWN, "base"),
    )
    assert names(effects_tested(stand_ins)) == ["base", "noise", "rounding"]
    assert noise_floor(stand_ins).name == "noise - base"


def test_what_a_comparison_lists_are_effects_compared(stance):
    compared = behavioral(stance, versus={"recipe": "long"})
    judged = verdict(
        compared, BASE, SHAM, ("base", Role.COMPARED, "m, a (documented)"), ("base", Role.COMPARED, "m, a (long)")
    )
    assert names(judged.controls)[2:] == ["m, a (documented) - base", "m, a (long) - base"]
    assert names(effects_tested(judged)) == ["base", "sham"]
    assert own_effects(judged) == ()
    assert noise_floor(judged) is None
    assert control_range(judged) is None


def test_of_structure_every_control_is_its_own(stance):
    judged = verdict(structural(stance), *OF_STRUCTURE)
    assert names(own_effects(judged)) == ["sham", "noise", "rounding"]
    assert control_range(judged) == (-0.1, 2.1)
    assert control_range(verdict(structural(stance))) is None


def test_a_comparison_of_structure_is_made_of_every_control(stance):
    judged = verdict(
        structural(stance, over="mean", versus={"recipe": "long", "by": "ratio"}),
        ("sham", FIGURE),
        ("noise", FIGURE),
        ("rounding", FIGURE),
    )
    assert names(own_effects(judged)) == ["sham", "noise", "rounding"]
    assert control_range(judged) == (-0.1, 2.1)
    assert noise_floor(judged) is None


def test_where_layers_are_compared_the_other_training_is_no_control(stance):
    same = structural(stance, comparator="same_layer", bound=None, versus={"recipe": "long"})
    judged = verdict(
        same,
        (None, Role.COMPARED, "layers.1.up, m, a (long)"),
        ("sham", Role.MOST_CHANGED, "layers.2.up"),
        ("noise", Role.MOST_CHANGED, "layers.1.up"),
        ("rounding", Role.MOST_CHANGED, "layers.0.q"),
    )
    assert names(own_effects(judged)) == ["sham: layers.2.up", "noise: layers.1.up", "rounding: layers.0.q"]
    assert control_range(judged) == (0.9, 3.1)
    assert control_range(verdict(same, (None, Role.COMPARED, "layers.1.up, m, a (long)"))) is None


def test_bounds_of_a_magnitude_a_range_and_none(stance):
    assert drawn_bounds(verdict(structural(stance))) == (-1, 1)
    assert drawn_bounds(verdict(behavioral(stance))) == (0.05,)
    between = structural(stance, comparator="between", bound=[2, 3])
    assert drawn_bounds(verdict(between)) == (2, 3)
    same = structural(stance, comparator="same_layer", bound=None, versus={"recipe": "long"})
    assert drawn_bounds(verdict(same)) == ()
