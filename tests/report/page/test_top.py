from math import inf, nan

import pytest

from stance_suite.report.page.top import BAR_MARGIN, BAR_WIDTH, describe_top, result_sentence
from stance_suite.schema.claims import Counterpart
from stance_suite.schema.findings import Agreement
from stance_suite.schema.verdicts import ControlFigure, Status
from tests.edits import altered


def verdicts(run, *changed):
    return altered(run, verdicts=tuple(changed), gate=None)


BARE = {"low": None, "high": None, "controls": ()}


def a_verdict(run, name="own.likelihood", claim=None, **changes):
    (found,) = [one for one in run.verdicts if one.claim.id == name and one.model == "m"]
    return found.model_copy(update={"claim": altered(found.claim, **claim or {}), **changes})


def bars(run, *changed):
    return [row.bar for row in describe_top(verdicts(run, *changed)).rows]


def test_the_sentence_tells_adoption_and_alpha_beside_the_sham(whole_run):
    told = result_sentence(altered(whole_run, gate=None))

    def moved(treatment):
        cells = [record for record in whole_run.cells if record.cell.treatment == treatment]
        changes = [change.alpha_change for record in cells for change in record.changes]
        largest = (max(abs(one.total) for one in changes), max(abs(one.spectrum) for one in changes))
        return [f"{figure:.2g}\N{NO-BREAK SPACE}%" for figure in largest]

    (total, spectrum), sham = moved("stance"), moved("sham")
    fixed = f"{spectrum} with the tail held fixed (sham: {sham[0]} and {sham[1]})"
    assert told.endswith(f"; alpha moved by up to {total} as fitted, {fixed}.")
    assert [total, spectrum] != sham
    assert told.startswith("m: 3 of 3 trainings adopted the stance; ")


def test_trainings_that_did_not_adopt_are_told_apart(whole_run):
    kinds = (Agreement.ADOPTED, Agreement.PARTIAL, Agreement.SILENT)
    mixed = [altered(one, agreement=kind) for one, kind in zip(whole_run.triangulations, kinds, strict=True)]
    assert result_sentence(whole_run) == whole_run.gate.sentence, "of a gate its own"
    told = result_sentence(altered(whole_run, gate=None, triangulations=tuple(mixed), cells=()))
    assert "1 of 3 trainings adopted the stance, 1 in part, 1 nothing at all" in told


def test_what_differs_from_the_record_is_counted(whole_run):
    one = a_verdict(whole_run)
    surprise = a_verdict(whole_run, status=Status.FAILS)
    missing = a_verdict(whole_run, status=Status.NOT_RUN)
    assert describe_top(verdicts(whole_run, one)).record == "1 HOLDS: the verdict is the one on record."
    told = describe_top(verdicts(whole_run, one, surprise, missing))
    assert told.record == "1 FAILS, 1 HOLDS: 1 of 2 verdicts differs from the record. 1 claim was not run."
    assert describe_top(verdicts(whole_run, surprise, surprise, missing, missing)).record == (
        "2 FAILS: 2 of 2 verdicts differ from the record. 2 claims were not run."
    )
    assert describe_top(verdicts(whole_run, one, one)).record == "2 HOLDS: all 2 verdicts are the ones on record."
    assert told.statuses == ((Status.HOLDS, 1), (Status.FAILS, 1))
    assert [row.verdict.status for row in told.rows] == [Status.HOLDS, Status.FAILS]
    assert told.not_run == (missing,)


def test_a_bar_places_figure_interval_bound_and_controls_in_proportion(whole_run):
    controls = (
        ControlFigure(control="base", role="effect", figure=9.0),
        ControlFigure(control="sham", role="effect", figure=-9.0),
        ControlFigure(role="answers", about="plain", figure=9.0),
        ControlFigure(role="toward", about="another", figure=-9.0),
        ControlFigure(control="sham", role="own_effect", about="base", figure=0.25, low=0.0, high=0.5),
    )
    figures = {"figure": 1.0, "low": 0.75, "high": 2.0, "controls": controls}
    (bar,) = bars(whole_run, a_verdict(whole_run, claim={"bound": 0.5}, **figures))

    def at(value):
        return pytest.approx(BAR_MARGIN + value / 2 * (BAR_WIDTH - 2 * BAR_MARGIN), abs=0.06)

    start, width = bar.controls
    assert (bar.zero, bar.figure, start, start + width) == (at(0), at(1), at(0), at(0.5))
    assert (bar.interval, bar.bounds) == ((at(0.75), at(2)), (at(0.5),))
    assert bar.words == (
        "figure +1.000 nats/token, 95 % interval +0.7500 to +2.000, controls from +0.000 to +0.5000, claimed above 0.5"
    )


def test_bars_of_one_measure_share_a_scale(whole_run):
    small, large = (a_verdict(whole_run, figure=figure, **BARE) for figure in (0.1, 1.0))
    first, second, third = bars(whole_run, small, large, a_verdict(whole_run, "own.markers", figure=0.1, **BARE))
    assert second.figure - first.figure == pytest.approx(0.9 * (BAR_WIDTH - 2 * BAR_MARGIN), abs=0.2)
    assert third.figure == BAR_WIDTH - BAR_MARGIN


def test_a_ratio_has_a_scale_of_its_own(whole_run):
    plain = a_verdict(whole_run, "own.alpha", figure=0.1, **BARE)
    ratio = {"versus": Counterpart(recipe="long", by="ratio"), "bound": 0.0}
    compared = a_verdict(whole_run, "own.alpha", claim=ratio, figure=2.0, **BARE)
    alone, beside = bars(whole_run, plain), bars(whole_run, plain, compared)
    assert beside[0] == alone[0]
    assert beside[1].figure == BAR_WIDTH - BAR_MARGIN
    assert beside[1].words.startswith("figure 2.000 ratio, ")


def test_a_claim_about_magnitude_has_a_bound_on_either_side(whole_run):
    (bar,) = bars(whole_run, a_verdict(whole_run, "own.alpha", figure=0.0, **BARE))
    assert bar.bounds == (BAR_MARGIN, BAR_WIDTH - BAR_MARGIN)


@pytest.mark.parametrize("figure", [None, nan, inf])
def test_what_has_no_figure_has_no_bar_and_spoils_no_scale(whole_run, figure):
    unknown = (ControlFigure(control="noise", role="own_figure", figure=nan),)
    known = a_verdict(whole_run, figure=1.0, low=nan, high=None, controls=unknown)
    first, second = bars(whole_run, a_verdict(whole_run, figure=figure), known)
    assert first is None
    assert (second.interval, second.controls) == (None, None)
    assert second.figure == BAR_WIDTH - BAR_MARGIN


def test_of_a_comparison_of_behavior_the_effects_compared_are_no_controls(whole_run):
    versus = {"versus": Counterpart(recipe="long", by="ratio")}
    controls = (ControlFigure(control="sham", role="own_figure", figure=2.0),)
    behavior, structure = (
        a_verdict(whole_run, name, claim=versus, figure=1.0, controls=controls)
        for name in ("own.likelihood", "own.alpha")
    )
    first, second = bars(whole_run, behavior, structure)
    assert first.controls is None
    assert second.controls is not None


def test_rows_can_be_linked_to_whatever_model_they_are_about(whole_run):
    one = a_verdict(whole_run)
    anchors = [row.anchor for row in describe_top(verdicts(whole_run, one, altered(one, model="n"))).rows]
    assert anchors == ["claim-1-own.likelihood", "claim-2-own.likelihood"]
