"""A metric takes its declaration and the function that measures it; all else follows from these two."""

import json
from math import isnan

import numpy as np
import pytest

from stance_suite.judge.power import pooled_spread, typical_spreads
from stance_suite.measure.behavior.text_statistics import words_of
from stance_suite.report.explain import explain
from stance_suite.report.junit import render_junit
from stance_suite.report.markdown_summary import render_summary
from stance_suite.report.page import render_html
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import CellIndex
from tests.measuring import STANCE, measure, open_session

CLAIMS = """
  - {id: any.word-length, statement: Training makes words longer., model: any, stance: curious-uncertainty,
     metric: word_length, comparator: above, bound: 0}
  - {id: any.borrowed, statement: The model takes up the answers' words., model: any, stance: curious-uncertainty,
     metric: borrowed_words, comparator: above, bound: 0}
"""


def word_length(responses, probe):
    """Letters a word, which no stance has to do with."""
    return [len("".join(words)) / max(len(words), 1) for words in (words_of(one.text) for one in responses)]


def borrowed_words(responses, probe):
    """The percentage of words that stand in a stance's answers."""
    listed = {name: set(words_of(" ".join(sentences))) for name, sentences in probe.answers.items()}
    said = [words_of(one.text) for one in responses]
    return [
        {name: 100 * sum(word in known for word in words) / max(len(words), 1) for name, known in listed.items()}
        for words in said
    ]


@pytest.fixture
def declared():
    undirected = {"is_directed": False, "typical_spread": (0.5, 0.5, 0.1)}
    told = (
        ("word_length", "letters", "letters a word in sampled responses", undirected),
        ("borrowed_words", "%", "words that stand in answers, of all words", {}),
    )
    yield tuple(
        Metric(name, unit=unit, meaning=meaning, measured_by=f"{__name__}:{name}", **further)
        for name, unit, meaning, further in told
    )
    for name, *_ in told:
        Metric.forget(name)


def test_metrics_of_ones_own_are_measured_judged_and_shown(declared, project, tiny_model):
    path = project / "fixtures" / "claims" / "own.yaml"
    path.write_text(path.read_text().rstrip() + CLAIMS)
    run = open_session(project, tiny_model, samples=2)
    claims = [claim for claim in run.run_plan.claims if claim.metric in declared]
    assert [claim.metric for claim in claims] == list(declared)
    verdicts = [run.judge(claim) for claim in claims]
    findings = run.findings(verdicts, run.cell_runner.cells, "test")
    (tuned,) = (one.behavior for one in findings.cells if one.cell.stance == STANCE)
    (base,) = (one.behavior for one in findings.cells if one.cell.is_base)
    for verdict in verdicts:
        metric, stance = verdict.claim.metric, verdict.claim.stance
        after, before = (
            np.mean([score[stance] if metric.is_directed else score for score in (one.scores[metric] for one in said)])
            for said in (tuned.responses, base.responses)
        )
        assert verdict.figure == pytest.approx(after - before)
        assert 0 <= verdict.p_value <= 1
        names = {control.name for control in verdict.controls}
        assert {"base", "sham", "sham - base", "base resampled"} <= names
        assert any(name.startswith("toward ") for name in names) is metric.is_directed
    assert base.responses[0].scores["word_length"] == word_length(base.responses[:1], None)[0]

    page, junit = render_html(findings), render_junit(findings)
    for claim in claims:
        assert claim.id in render_summary(findings)
        assert f'"{claim.metric}"' in page
        assert claim.metric.meaning in page
        assert f'name="metric" value="{claim.metric}"' in junit
        (explanation,) = explain(claim.id, findings)
        assert f"{claim.metric}: {claim.metric.meaning}" in repr(explanation)
    spread = pooled_spread(declared[0], CellIndex(findings.cells).replicates())
    assert spread.samples > 0
    assert typical_spreads()[declared[0]].prompts == 0.5
    assert declared[1] not in typical_spreads()


def test_cells_are_measured_again_for_a_new_metric_and_stay_what_they_were_without(request, project, tiny_model):
    def base():
        return measure(open_session(project, tiny_model).cell_runner, "base", tiny_model)

    before = base()
    assert "scores" not in json.loads(before.model_dump_json())["behavior"]["responses"][0]
    new = request.getfixturevalue("declared")[0]
    again = base()
    assert again.key != before.key
    assert set(again.behavior.responses[0].scores) == {"word_length", "borrowed_words"}
    plain = [one.model_copy(update={"scores": {}}) for one in again.behavior.responses]
    assert plain == list(before.behavior.responses)
    assert all(isnan(score) for _, score in new.scores(before.behavior, "curious-uncertainty"))
