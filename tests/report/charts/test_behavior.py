import re

import pytest
import vl_convert

from stance_suite.report.charts.behavior import effects, prompts
from stance_suite.report.charts.data import prompt_data
from stance_suite.report.charts.theme import PRINT
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import ControlFigure
from tests.edits import altered
from tests.report.charts.drawn import end, marks, place, texts
from tests.runs import one_run

PREFERENCE = Metric.LIKELIHOOD_PREFERENCE
ROWS = [
    {"prompt": "down", "base": 0.5, "sham": 0.5, "tuned": 0.25},
    {"prompt": "up by a lot", "base": 0.0, "sham": 0.25, "tuned": 1.0},
    {"prompt": "no sham", "base": 0.0, "sham": None, "tuned": 0.5},
]
EFFECTS = {
    "effects": [
        {"versus": "base", "effect": 0.5, "low": 0.25, "high": 1.0},
        {"versus": "sham", "effect": 0.75, "low": None, "high": None},
    ],
    "floor": [{"low": -0.5, "high": 0.25}],
    "bounds": [{"bound": 0.1}],
}


def test_prompts_stand_in_the_order_of_their_effects():
    drawn = marks(prompts(PRINT, 400, PREFERENCE), {"prompts": ROWS}, "symbol")
    tuned = sorted((place(item)[1], place(item)[0]) for item in drawn if item["fill"] == PRINT.after)
    assert [x for _, x in tuned] == [pytest.approx(400 * score) for score in (1.0, 0.5, 0.25)]


def test_each_prompt_is_joined_from_hollow_to_filled_and_controls_are_ticks():
    spec = prompts(PRINT, 400, PREFERENCE)
    looks = [(item["shape"], item["stroke"], item["fill"]) for item in marks(spec, {"prompts": ROWS}, "symbol")]
    assert looks.count(("circle", PRINT.before, "transparent")) == 3
    assert looks.count(("circle", PRINT.after, PRINT.after)) == 3
    assert sum(stroke == PRINT.control and shape != "circle" for shape, stroke, _ in looks) == 2
    both = [row | {"shuffled": 0.1} for row in ROWS]
    ticks = {one["shape"] for one in marks(spec, {"prompts": both}, "symbol") if one["stroke"] == PRINT.control}
    assert len(ticks) == 2, "controls are told apart"
    joined = {(place(rule)[0], end(rule, "x")) for rule in marks(spec, {"prompts": ROWS}, "rule")}
    assert joined == {(200, 100), (0, 400), (0, 200)}


def test_a_long_prompt_ends_with_an_ellipsis():
    rows = [{"prompt": "why " * 60, "base": 0, "sham": None, "tuned": 1}]
    svg = vl_convert.vegalite_to_svg(prompts(PRINT, 400, PREFERENCE) | {"datasets": {"prompts": rows}})
    assert "…" in svg
    assert max(map(len, re.findall(">([^<]*)</text>", svg))) < 60


def test_the_legend_names_the_controls_that_there_are_and_what_a_divergence_is_held_against():
    spec = prompts(PRINT, 400, PREFERENCE)
    written = set(texts(spec, {"prompts": ROWS}))
    assert {"base", "sham", "tuned", "score (nats/token)"} <= written and "shuffled" not in written
    written = set(texts(spec, {"prompts": [row | {"sham": None, "shuffled": 0.1} for row in ROWS]}))
    assert {"base", "shuffled", "tuned"} <= written and "sham" not in written
    assert "sham" not in texts(spec, {"prompts": [row | {"sham": None} for row in ROWS]})
    assert "noise of the same norm" in texts(prompts(PRINT, 400, Metric.DIVERGENCE), {"prompts": ROWS})


def test_an_effect_has_its_interval_beside_floor_and_bound():
    spec = effects(PRINT, 400, PREFERENCE)
    (band,) = marks(spec, EFFECTS, "rect")
    rules = marks(spec, EFFECTS, "rule")
    points = marks(spec, EFFECTS, "symbol")
    unit = band["width"] / 0.75  # pixels of an effect of 1
    zero = place(band)[0] + 0.5 * unit
    assert [place(point)[0] for point in points] == [pytest.approx(zero + unit * one) for one in (0.5, 0.75)]
    (interval,) = [rule for rule in rules if rule["stroke"] == PRINT.after]
    assert sorted((place(interval)[0], end(interval, "x"))) == [pytest.approx(zero + unit * one) for one in (0.25, 1.0)]
    (bound,) = [rule for rule in rules if rule.get("strokeDash")]
    assert place(bound)[0] == pytest.approx(zero + 0.1 * unit)
    assert {"against base", "against sham", "bound 0.1"} <= set(texts(spec, EFFECTS))
    assert marks(spec, EFFECTS | {"floor": []}, "rect") == [], "without a floor"


def test_what_is_not_finite_is_no_number(stance):
    (verdict,) = one_run(stance, 0.5).verdicts
    broken = altered(
        verdict,
        prompts=(altered(verdict.prompts[0], tuned=float("nan")),),
        controls=(ControlFigure(control="base", role="effect", figure=float("inf")),),
    )
    datasets = prompt_data(broken)
    assert datasets["prompts"][0]["tuned"] is None
    assert datasets["effects"] == [{"versus": "base", "effect": None, "low": None, "high": None}]
