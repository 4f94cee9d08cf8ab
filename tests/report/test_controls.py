import pytest

from stance_suite.report.controls import control_range, drawn_bounds, effects_over_controls, noise_floor, own_effects
from stance_suite.schema.controls import Role
from stance_suite.schema.verdicts import ControlFigure, Verdict
from tests.runs import behavioral, structural

EFFECT, OWN, FIGURE = Role.EFFECT, Role.OWN_EFFECT, Role.OWN_FIGURE
BASE, SHAM, AGAIN = ("base", EFFECT), ("sham", EFFECT), ("base resampled", EFFECT)
OF_STRUCTURE = [(name, FIGURE) for name in ("sham", "noise", "rounding")]
TOWARD, SEEN = (None, Role.TOWARD, "b"), (None, Role.ANSWERS, "plain")


def verdict(claim, *controls) -> Verdict:
    """Each control's figure is its place, and its interval reaches by a tenth to both sides."""
    controls = tuple(
        ControlFigure(control=control, role=role, about="".join(about), figure=place, low=place - 0.1, high=place + 0.1)
        for place, (control, role, *about) in enumerate(controls)
    )
    return Verdict(claim=claim, model="m", status="HOLDS", reason="so", figure=1.0, controls=controls)


def names(controls) -> list[str]:
    return [control.name for control in controls]


RATIO = {"recipe": "long", "by": "ratio"}
SAME = {"comparator": "same_layer", "bound": None, "versus": {"recipe": "long"}}
OTHER_LAYER = (None, Role.COMPARED, "layers.1.up, m, a (long)")


@pytest.mark.parametrize(
    ("controls", "tested", "own", "floor", "span"),
    [
        (
            [BASE, SHAM, ("sham", OWN, "base"), ("base resampled", FIGURE), TOWARD, SEEN],
            ["base", "sham"],
            ["sham - base", "base resampled"],
            "base resampled",
            (1.9, 3.1),
        ),
        (
            [BASE, AGAIN, ("base resampled", OWN, "base"), TOWARD],
            ["base", "base resampled"],
            ["base resampled - base"],
            "base resampled - base",
            (1.9, 2.1),
        ),
        (
            [BASE, ("noise", EFFECT), ("rounding", EFFECT), ("noise", OWN, "base"), ("rounding", OWN, "base")],
            ["base", "noise", "rounding"],
            ["noise - base", "rounding - base"],
            "noise - base",
            (2.9, 4.1),
        ),
    ],
    ids=["with a sham the base sampled again is the floor", "without a sham", "stand-ins"],
)
def test_of_behavior_effects_over_controls_are_told_from_what_controls_did(stance, controls, tested, own, floor, span):
    judged = verdict(behavioral(stance), *controls)
    assert (names(effects_over_controls(judged)), names(own_effects(judged))) == (tested, own)
    assert noise_floor(judged).name == floor
    assert control_range(judged) == pytest.approx(span)


def test_what_a_comparison_of_behavior_lists_are_effects_compared(stance):
    compared = [("base", Role.COMPARED, about) for about in ("m, a (documented)", "m, a (long)")]
    judged = verdict(behavioral(stance, versus={"recipe": "long"}), BASE, SHAM, *compared)
    assert names(judged.controls)[2:] == ["m, a (documented) - base", "m, a (long) - base"]
    assert names(effects_over_controls(judged)) == ["base", "sham"]
    assert (own_effects(judged), noise_floor(judged), control_range(judged)) == ((), None, None)


@pytest.mark.parametrize(
    ("claim", "controls", "own", "span"),
    [
        ({}, OF_STRUCTURE, ["sham", "noise", "rounding"], (-0.1, 2.1)),
        ({}, [], [], None),
        ({"over": "mean", "versus": RATIO}, OF_STRUCTURE, ["sham", "noise", "rounding"], (-0.1, 2.1)),
        (
            SAME,
            [OTHER_LAYER, *((name, Role.MOST_CHANGED, "layers.1.up") for name in ("sham", "noise", "rounding"))],
            ["sham: layers.1.up", "noise: layers.1.up", "rounding: layers.1.up"],
            (0.9, 3.1),
        ),
        (SAME, [OTHER_LAYER], [], None),
    ],
    ids=["a claim", "without controls", "a comparison", "layers compared", "the other training is no control"],
)
def test_of_structure_every_control_is_its_own(stance, claim, controls, own, span):
    judged = verdict(structural(stance, **claim), *controls)
    assert (names(own_effects(judged)), noise_floor(judged), control_range(judged)) == (own, None, span)


def test_bounds_of_a_magnitude_a_range_and_none(stance):
    assert drawn_bounds(verdict(structural(stance))) == (-1, 1)
    assert drawn_bounds(verdict(behavioral(stance))) == (0.05,)
    assert drawn_bounds(verdict(structural(stance, comparator="between", bound=[2, 3]))) == (2, 3)
    assert drawn_bounds(verdict(structural(stance, **SAME))) == ()
