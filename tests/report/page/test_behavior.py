import json
import re
from math import nan

import pytest

from stance_suite.report.behavior import ConfusionMatrix
from stance_suite.report.controls import drawn_bounds
from stance_suite.report.format import show_signed
from stance_suite.report.page import render_html
from stance_suite.report.page.behavior import TONES, HeatMap, describe_behavior
from stance_suite.report.page.responses import response_data
from stance_suite.report.page.top import describe_top
from stance_suite.schema.behavior import MarkerHit
from stance_suite.schema.cells import EpochSnapshot, Training
from stance_suite.schema.controls import SHUFFLED
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import ReplicateCells, Status
from tests.edits import altered
from tests.html_pages import parse
from tests.measured import alpha_change


def section(findings):
    return describe_behavior(findings, describe_top(findings).rows)


def words(page: str) -> str:
    """What a page says, without what scripts read."""
    return parse(re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)).text


def near(score):
    return None if score is None else pytest.approx(score, rel=1e-5)


@pytest.fixture(scope="module")
def page(whole_run):
    return render_html(whole_run)


@pytest.fixture
def judged(whole_run):
    return [verdict for verdict in whole_run.verdicts if verdict.prompts]


@pytest.fixture
def verdict(judged):
    return next(one for one in judged if one.claim.metric is Metric.LIKELIHOOD_PREFERENCE)


def test_every_judged_claim_about_behavior_is_told_with_its_scores_and_leads_to_its_row(whole_run, judged, page):
    data = section(whole_run).data
    ids = [value for name, value in parse(page).attributes if name == "id"]
    assert len(data["claims"]) == len(judged)
    for claim, verdict in zip(data["claims"], judged, strict=True):
        assert (claim["id"], claim["model"], claim["measure"]) == (verdict.claim.id, "m", verdict.claim.metric)
        assert claim["status"] == verdict.status
        assert [row["bound"] for row in claim["bounds"]] == list(drawn_bounds(verdict))
        assert ids.count(claim["anchor"]) == 1 and claim["id"] in claim["anchor"]
        told = [(data["prompts"][place], *scores) for place, *scores in claim["prompts"]]
        assert told == [
            (one.prompt, *map(near, (one.base, one.sham, one.controls.get(SHUFFLED), one.tuned)))
            for one in verdict.prompts
        ]
    assert len(set(data["prompts"])) == len(data["prompts"])


def test_panels_and_table_write_figures_in_one_style(whole_run, verdict):
    shown = altered(verdict, figure=1.18, low=-0.5, high=2.0, p_value=1e-9, adjusted_p_value=0.0123, controls=())
    found = altered(whole_run, verdicts=(shown,))
    (claim,) = section(found).data["claims"]
    assert claim["figures"] == ["+1.180 nats/token", "−0.5000 to +2.000", "p < 0.0001, 0.012 after Holm’s correction"]
    text = words(render_html(found))
    for part in claim["figures"]:
        assert part in text


def test_effects_are_told_against_each_control_beside_the_noise_floor(whole_run, judged):
    claims = {claim["id"]: claim for claim in section(whole_run).data["claims"]}
    for verdict in judged:
        effects = {one["versus"]: one["effect"] for one in claims[verdict.claim.id]["effects"]}
        assert next(iter(effects.values())) == verdict.figure
    markers = claims["own.markers"]
    (verdict,) = [one for one in judged if one.claim.id == "own.markers"]
    (again,) = [one for one in verdict.controls if one.name == "base resampled"]
    assert [effect["versus"] for effect in markers["effects"]] == ["base", "sham", "shuffled"]
    assert markers["floor"] == [{"low": again.low, "high": again.high}]


def test_a_divergence_is_held_against_noise_and_says_so(whole_run, verdict):
    claim = altered(verdict.claim, metric=Metric.DIVERGENCE)
    (told,) = section(altered(whole_run, verdicts=(altered(verdict, claim=claim),))).data["claims"]
    assert told["baseline"] == "noise of the same norm"
    (plain,) = section(altered(whole_run, verdicts=(verdict,))).data["claims"]
    assert plain["baseline"] == "base"


def test_what_is_unknown_is_null(whole_run, verdict):
    scores = tuple(altered(one, controls={}, tuned=nan) for one in verdict.prompts)
    unknown = altered(verdict, prompts=scores, figure=nan, status=Status.INCONCLUSIVE)
    page = render_html(altered(whole_run, verdicts=(unknown,)))
    (block,) = re.findall(r'id="data-behavior">(.*?)</script>', page)
    (claim,) = json.loads(block, parse_constant=pytest.fail)["claims"]
    assert {tuple(unknown) for _, _, *unknown in claim["prompts"]} == {(None, None, None)}, "sham, shuffled and tuned"


def test_the_longest_training_judged_by_likelihood_is_shown_first(whole_run, judged, verdict):
    longer = altered(verdict.claim, recipe="long")
    tuned = next(cell for cell in whole_run.cells if cell.key == verdict.cells[0])
    training = Training(texts=("t",), losses=(1.0,), epoch_losses=(1.0,) * 10, seconds=1.0)
    cell = altered(tuned, key="long", training=training)
    markers = next(one for one in judged if one.claim.metric is Metric.MARKER_RATE)
    cells = (ReplicateCells(tuned="long", base="base"),)
    verdicts = (altered(markers, replicates=cells), verdict, altered(verdict, claim=longer, replicates=cells))
    found = section(altered(whole_run, verdicts=verdicts, cells=(*whole_run.cells, cell))).data["first"]
    assert (found["recipe"], found["measure"]) == ("long", "likelihood_preference")
    assert section(altered(whole_run, verdicts=verdicts[:1])).data["first"]["measure"] == "marker_rate"


def test_there_is_a_picture_for_every_measure_that_was_judged(whole_run, judged):
    wanted = {f"{name}-{one.claim.metric}" for one in judged for name in ("prompts", "effects")}
    assert set(section(whole_run).charts) == wanted


@pytest.mark.parametrize(
    ("effect", "tone"),
    [(2.0, "warm-3"), (-2.0, "cold-3"), (1.2, "warm-2"), (-0.5, "cold-1"), (0.3, ""), (0.0, ""), (nan, "")],
)
def test_shifts_are_colored_by_sign_and_size(whole_run, effect, tone):
    matrix = ConfusionMatrix("m", "documented", Metric.MARKER_RATE, (), ())
    shift = whole_run.shifts[0]
    assert HeatMap(matrix, 2.0).tone(altered(shift, effect=effect)) == tone
    assert HeatMap(matrix, 0.0).tone(altered(shift, effect=0.0)) == ""


def test_matrices_of_one_measure_share_their_scale(whole_run):
    far = [altered(one, model="other", effect=9 * one.effect) for one in whole_run.shifts]
    broken = [altered(one, model="broken", effect=nan) for one in whole_run.shifts]
    maps = section(altered(whole_run, shifts=(*whole_run.shifts, *far, *broken))).heat_maps
    assert len({one.matrix.model for one in maps}) == 3
    for metric in {one.matrix.metric for one in maps}:
        effects = [abs(one.effect) for one in whole_run.shifts if one.metric is metric]
        (largest,) = {one.largest for one in maps if one.matrix.metric is metric}
        assert largest == pytest.approx(9 * max(effects))


def test_the_confusion_matrix_outlines_the_trained_stance_and_sets_controls_apart(whole_run, page):
    (matrix,) = re.findall(r'<div class="matrix[^>]*data-measure="likelihood_preference">.*?</div>', page, re.DOTALL)
    assert matrix.count(" own") == 3
    assert f"number warm-{TONES} own" in matrix
    controls = re.findall(r'<tbody class="control">(.*?)</tbody>', matrix, re.DOTALL)
    names = [re.search('<th scope="row">(.*?)</th>', control).group(1) for control in controls]
    assert names == ["sham", *(f"shuffled {one.name}" for one in whole_run.stances)]
    assert not any(" own" in control for control in controls)
    own = next(one for one in whole_run.shifts if one.trained == one.measured)
    assert f"{show_signed(own.effect)} [{show_signed(own.low)}, {show_signed(own.high)}]" in words(page)


def test_a_shift_that_was_not_measured_is_a_dash(whole_run):
    left_out = next(one for one in whole_run.shifts if one.trained != one.measured)
    shifts = tuple(one for one in whole_run.shifts if one is not left_out)
    page = render_html(altered(whole_run, shifts=shifts))
    (matrix,) = re.findall(rf'<div class="matrix[^>]*data-measure="{left_out.metric}">.*?</div>', page, re.DOTALL)
    (row,) = re.findall(rf'<tr><th scope="row">{left_out.trained}</th>(.*?)</tr>', matrix, re.DOTALL)
    assert row.count("<td") == 3
    assert row.count('<td class="number">–</td>') == 1


def test_agreement_and_guards_are_shown(whole_run, page):
    said = words(page)
    for one in whole_run.triangulations:
        assert f"{one.model}, {one.stance} ({one.recipe}) {one.agreement}" in said
    tuned = next(cell for cell in whole_run.cells if cell.cell.stance)
    measured = [one.measured for one in tuned.behavior.divergences]
    noise = [one.noise for one in tuned.behavior.divergences]
    fluency = tuned.behavior.fluency
    assert (
        f"m, {tuned.cell.label} {fluency.words:.1f} {100 * fluency.distinct_bigrams:.0f} "
        f"{100 * fluency.repetition:.1f} 0 20.0 {sum(measured) / len(measured):.4f} ({sum(noise) / len(noise):.4f}) –"
    ) in said


def test_a_trajectory_is_told_epoch_by_epoch(whole_run, stance):
    tuned = next(one for one in whole_run.cells if one.cell.stance == stance.name)
    base = whole_run.index.base(tuned)
    raised = [
        altered(entry, log_probability={n: s + 0.25 * (n == stance.name) for n, s in entry.log_probability.items()})
        for entry in base.behavior.likelihoods
    ]
    alphas = {"a": alpha_change(3.0, 0.5), "b": alpha_change(-7.0, 0.25)}
    watched = altered(tuned, trajectory=(EpochSnapshot(epoch=2, likelihoods=tuple(raised), alphas=alphas),))
    cells = tuple(watched if one is tuned else one for one in whole_run.cells)
    findings = altered(whole_run, cells=cells)
    assert "With the tail held fixed (%) 2 1.00 +0.2500 7.00 0.50" in words(render_html(findings))
    told = section(findings)
    ((model, row),) = [(one["model"], row) for one in told.data["epochs"] for row in one["rows"]]
    assert (model, row["training"], row["epoch"], row["loss"]) == ("m", tuned.cell.label, 2, 1.0)
    assert (row["alpha_total"], row["alpha_spectrum"]) == (7.0, 0.5)
    assert row["preference"] == pytest.approx(0.25)
    assert {"preference", "alphas"} <= set(told.charts)
    assert section(whole_run).data["epochs"] == []


def test_responses_are_found_by_prompt_and_sample_beside_their_controls(whole_run, stance):
    data = response_data(whole_run)
    assert [cell["label"] for cell in data["cells"]] == [record.cell.label for record in whole_run.cells]
    for cell, record in zip(data["cells"], whole_run.cells, strict=True):
        for one in record.behavior.responses:
            text, count, ends = cell["responses"][data["prompts"].index(one.prompt)][one.sample]
            assert (text, count) == (one.text, one.words)
            for name, hits in one.markers.items():
                starts = ends[data["stances"].index(name)]
                assert [one.text[a:b] for a, b in zip(starts[::2], starts[1::2], strict=True)] == [
                    one.text[hit.start : hit.end] for hit in hits
                ]
        assert list(cell["controls"]) == (["sham", "shuffled"] if record.cell.is_under_test else [])
        for treatment, place in [("base", cell["base"]), *cell["controls"].items()]:
            control = whole_run.cells[place].cell
            assert (control.treatment, control.seed) == (treatment, cell["seed"])
            assert control.about in (None, record.cell.stance)
    asked = [data["prompts"][place] for place in data["asked"][stance.name]]
    assert asked == list(stance.prompts)


def test_markers_that_only_a_later_response_has_been_searched_for_have_their_place(whole_run):
    first, *_ = whole_run.cells
    early, later, *_ = first.behavior.responses
    marked = altered(later, markers={"b": (MarkerHit(start=1, end=2),), "a": ()})
    behavior = altered(first.behavior, responses=(altered(early, markers={}), marked))
    data = response_data(altered(whole_run, cells=(altered(first, behavior=behavior),)))
    said = [entry for by_sample in data["cells"][0]["responses"].values() for entry in by_sample.values()]
    assert [ends for _, _, ends in said] == [[], [[1, 2], []]]
    assert data["stances"] == ["b", "a"]
