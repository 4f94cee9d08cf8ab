import pytest

from stance_suite.report.behavior import confusion_matrices
from stance_suite.report.charts.confusion import confusion
from stance_suite.report.charts.data import confusion_data, measure, verdict_data
from stance_suite.report.charts.theme import PRINT
from stance_suite.report.charts.verdicts import verdicts
from stance_suite.schema.verdicts import Status
from tests.edits import altered
from tests.report.charts.drawn import end, marks, place, texts


def test_every_judged_claim_has_a_row_with_its_verdict(whole_run):
    datasets = verdict_data(whole_run.verdicts)
    judged = [verdict for verdict in whole_run.verdicts if verdict.status is not Status.NOT_RUN]
    assert [row["claim"] for row in datasets["verdicts"]] == [verdict.claim.id for verdict in judged]
    measures = tuple(dict.fromkeys(map(measure, judged)))
    said = texts(verdicts(PRINT, 300, measures), datasets)
    for verdict in judged:
        assert verdict.claim.id in said
    for status in {verdict.status for verdict in judged}:
        assert said.count(str(status)) == sum(verdict.status is status for verdict in judged)
    assert {"likelihood_preference (nats/token)", "alpha_change_percent (%)"} <= set(said)


def test_the_same_claim_about_two_models_has_two_rows_and_a_magnitude_two_bounds(whole_run):
    judged = next(verdict for verdict in whole_run.verdicts if verdict.claim.id == "own.alpha")
    data = verdict_data([judged, altered(judged, model="n")])
    assert [row["claim"] for row in data["verdicts"]] == ["own.alpha, m", "own.alpha, n"]
    assert [row["bound"] for row in data["bounds"]] == [-50, 50] * 2


def test_figure_interval_controls_and_bounds_share_a_scale():
    row = {"claim": "a", "measure": "x"}
    other = {"claim": "b", "measure": "y", "status": "FAILS", "figure": 100}
    own = row | {"status": "HOLDS", "figure": 1, "low": 0.5, "high": 2, "control_low": -0.5, "control_high": 0.25}
    datasets = {"verdicts": [own, dict.fromkeys(own) | other], "bounds": [row | {"bound": 0.75}]}
    spec = verdicts(PRINT, 300, ("x",))
    (band,) = [item for item in marks(spec, datasets, "rect") if item["fill"] == PRINT.noise]
    unit = band["width"] / 0.75
    zero = place(band)[0] + 0.5 * unit
    (point,) = marks(spec, datasets, "symbol")
    assert place(point)[0] == pytest.approx(zero + unit)
    (interval,) = [item for item in marks(spec, datasets, "rule") if item["stroke"] == PRINT.after]
    assert sorted((place(interval)[0], end(interval, "x"))) == [pytest.approx(zero + one * unit) for one in (0.5, 2)]
    (tick,) = [item for item in marks(spec, datasets, "rect") if item["fill"] == PRINT.text]
    assert place(tick)[0] + tick["width"] / 2 == pytest.approx(zero + 0.75 * unit)
    assert "FAILS" not in texts(spec, datasets), "of another measure"


def test_a_confusion_matrix_has_its_numbers_and_the_strongest_color_for_the_largest(whole_run):
    matrix = next(one for one in confusion_matrices(whole_run) if one.metric == "likelihood_preference")
    spec, datasets = confusion(PRINT, matrix.metric), confusion_data(matrix)
    said = texts(spec, datasets)
    shifts = [shift for _, row in matrix.rows for shift in row]
    for shift in shifts:
        assert f"{shift.effect:+.3f}".replace("-", "−") in said
    colors = [item["fill"] for item in marks(spec, datasets, "rect")]
    assert len(colors) == len(shifts)
    largest = max(range(len(shifts)), key=lambda place: abs(shifts[place].effect))
    red, green, blue = (int(PRINT.positive[place : place + 2], 16) for place in (1, 3, 5))
    assert colors[largest] == f"rgb({red}, {green}, {blue})"
    bold = [item["text"] for item in marks(spec, datasets, "text") if item.get("fontWeight") == "bold"]
    own = [shift for shift in shifts if shift.trained == shift.measured]
    assert bold == [f"{shift.effect:+.3f}".replace("-", "−") for shift in own]
