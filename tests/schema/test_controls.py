"""A control that is declared in one place is planned, judged and reported everywhere."""

import json
from dataclasses import replace

import pytest

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.judge.behavior.evidence import gather_evidence
from stance_suite.judge.compare.matching import effect_table
from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.progress import PlainProgress
from stance_suite.report.behavior import confusion_matrices
from stance_suite.report.charts.behavior import prompts
from stance_suite.report.charts.data import prompt_data
from stance_suite.report.charts.theme import PAGE
from stance_suite.report.explain import explain
from stance_suite.report.junit import verdict_properties
from stance_suite.report.layer_table import columns, tensor_table
from stance_suite.report.layers import layer_rows
from stance_suite.report.markdown_summary import render_summary
from stance_suite.report.page import render_html
from stance_suite.report.page.responses import response_data
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.runner.plan import cells_of_sweep, plan_run
from stance_suite.schema.cells import Cell
from stance_suite.schema.controls import BASE, SHAM, Control, InBehavior, InStructure, Part, Role
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_figures import layer_figures
from stance_suite.schema.recipes import Sweep
from stance_suite.schema.replicates import CellIndex
from stance_suite.schema.verdicts import ControlFigure, Status
from tests import made_up_run
from tests.edits import altered
from tests.measured import alpha_change, layer
from tests.runs import behavioral, judged_alone, structural, training

STANCE = "curious-uncertainty"
CHANGES = (layer("model.layers.0.q_proj", alpha_change(9, 9)),)


@pytest.fixture
def echo():
    """What stands in other records: the trained model once more, which no effect is told from."""
    yield Control(
        "echo",
        meaning="the trained model once more",
        behavior=InBehavior(lambda metric: Part.FACED, lambda one: one.tuned.behavior),
        structure=InStructure(
            lambda claim, one: layer_figures(claim, one.tuned),
            table=lambda one: {(change.name, "relative_norm"): 0.5 for change in one.tuned.changes},
        ),
    )
    Control.forget("echo")


@pytest.fixture
def backward():
    """What is a training of its own: the first stance's examples, last to first."""
    yield Control(
        "backward",
        meaning="trained on the same examples, the last first",
        rotations=lambda stance, seed: (stance.examples[::-1],),
    )
    Control.forget("backward")


def backward_like(sham):
    """A cell of that treatment in which the same was measured."""
    return altered(sham, cell=altered(sham.cell, treatment="backward"), key=f"backward-{sham.cell.seed}")


def verdict_on(name, findings):
    return next(one for one in findings.verdicts if one.claim.id == name)


def names(verdict):
    return [control.name for control in verdict.controls]


def explained(name, findings):
    return {section.heading: section for section in explain(name, findings)[0].sections}


def test_figures_of_other_records_are_judged_and_reported(echo, library):
    run = made_up_run.whole_run(library)
    behavior, structure = verdict_on("own.likelihood", run), verdict_on("own.alpha", run)
    assert {"echo", "echo - base"} <= set(names(behavior))
    assert behavior.status is Status.INCONCLUSIVE
    assert behavior.reason.startswith("no test against echo")
    assert ("echo", Role.OWN_FIGURE) in [(one.control, one.role) for one in structure.controls]
    page = render_html(run)
    assert '<th scope="row">echo - base</th>' in page
    assert "no test against echo" in render_summary(run)
    for verdict in (behavior, structure):
        assert "control: echo" in dict(verdict_properties(verdict))
    assert ["echo", "+0"] in [list(row[:2]) for row in explained("own.likelihood", run)["Controls"].rows]
    layers = explained("own.alpha", run)["Layers"]
    assert (layers.columns[-1], layers.rows[0][-1]) == ("echo", layers.rows[0][1])
    table = tensor_table(run)
    assert list(table.columns)[-3:] == ["sham_value", "rounding_value", "echo_value"]
    assert (table.echo_value[table.metric == "relative_norm"] == 0.5).all()


def test_a_robust_claim_may_name_it(echo, stance):
    claim = structural(stance, comparator="above", bound=1, robust=True, against=["echo"])
    one = training(stance, 0.5)
    verdict = judge_structure(claim, replace(one, tuned=altered(one.tuned, changes=CHANGES)))
    assert verdict.status is Status.FAILS
    assert "true of the control echo as well" in verdict.reason


def test_a_training_of_its_own_is_a_cell_beside_the_tuned_one(backward, stance):
    one = training(stance, 0.5)
    extra = backward_like(one.controls[SHAM])
    found = CellIndex([*one.records, extra])
    ((beside,),) = found.replicates()
    assert list(beside.controls) == [SHAM, backward]
    assert found.controls(extra) == {}
    evidence = gather_evidence(behavioral(stance), [beside])
    verdict = judged_alone(evidence)
    assert names(verdict)[:3] == ["base", "sham", "backward"]
    assert {"sham - base", "backward - base"} <= set(names(verdict))
    assert list(verdict.prompts[0].controls) == [SHAM, backward]
    assert list(prompt_data(verdict)["prompts"][0]) == ["prompt", "base", "sham", "shuffled", "backward", "tuned"]
    assert "'backward'" in json.dumps(prompts(PAGE, "container", verdict.claim.metric))
    assert verdict.replicates[0].controls == {"sham": "m-sham-0", "backward": "backward-0"}
    assert verdict.cells == ("m-stance-0", "m-base-0", "m-sham-0", "backward-0")
    controls = {control: altered(record, changes=CHANGES) for control, record in beside.controls.items()}
    everywhere = replace(beside, tuned=altered(beside.tuned, changes=CHANGES), controls=controls)
    judged = judge_structure(structural(stance, comparator="above", bound=1), everywhere)
    assert {"sham", "backward"} <= set(names(judged))


def test_runs_are_compared_seed_by_seed_against_it_too(backward, stance):
    def with_it(one):
        return replace(one, controls={**one.controls, backward: backward_like(one.controls[SHAM])})

    replicates = [with_it(training(stance, 0.5, seed)) for seed in range(3)]
    evidence = gather_evidence(behavioral(stance), replicates)
    cells = {record.key: record for one in replicates for record in one.records}
    table = effect_table(judged_alone(evidence), cells)
    assert table.seeds == (0, 1, 2)
    assert list(table.effects) == [BASE, SHAM, backward]
    assert {effects.shape for effects in table.effects.values()} == {(3, len(stance.prompts))}


def test_its_cells_are_reported_wherever_the_shams_are(backward, whole_run):
    extra = [backward_like(one) for one in whole_run.cells if one.cell.control is SHAM]
    run = altered(whole_run, cells=(*whole_run.cells, *extra))
    read = Findings.model_validate_json(run.model_dump_json())
    assert [one.cell.control for one in read.cells[-2:]] == [backward, backward]
    data = response_data(read)
    assert data["controls"] == ["sham", "shuffled", "backward"]
    tuned = next(place for place, one in enumerate(read.cells) if one.cell.is_on_stance and one.cell.seed == 0)
    assert data["cells"][data["cells"][tuned]["controls"]["backward"]]["label"] == "backward (documented)"
    page = render_html(read)
    assert "> backward beside</label>" in page
    assert '"kind":"backward"' in page.replace(" ", "")
    columns_of_prompts = explained("own.likelihood", read)["Prompts"].columns
    assert columns_of_prompts == ("prompt", "base", "sham", "shuffled", "backward", "tuned", "tuned - base")
    (row, *_) = layer_rows(verdict_on("own.alpha", read), read)
    assert row.controls["backward"] == row.controls["sham"]
    table = tensor_table(read)
    assert columns()["backward_value"] == "float64"
    of_stance = table[table.treatment == "stance"]
    assert (of_stance.backward_value.dropna() == of_stance.sham_value.dropna()).all()
    assert len(confusion_matrices(read)) == len(confusion_matrices(whole_run))


def test_a_run_and_a_sweep_plan_its_cells(backward, project, tiny_model):
    settings = resolve_settings({"model": (str(tiny_model),), "cache": "cache"}, project, {})
    library = load_catalog(settings.fixtures)
    bench = CellRunner(settings, library, PlainProgress(), None)
    plans = list(bench.plan_training(str(tiny_model), STANCE, "documented", 0))
    assert [plan.cell.treatment for plan in plans] == [
        "base",
        "stance",
        "sham",
        "shuffled",
        "backward",
        "stance",
        "stance",
    ]
    assert plans[4].rotations == (library.family(STANCE)[0].examples[::-1],)
    sweep = Sweep(models=("distilgpt2",), stances=(STANCE,))
    assert sweep.controls == ("base", "sham", "shuffled", "backward")
    run_plan = replace(plan_run(settings, library, None), stances=(STANCE,), sweep=sweep)
    assert [cell.treatment for cell, _ in cells_of_sweep(run_plan, sweep)][:5] == [
        "base", "sham", "shuffled", "backward", "stance",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("control", "is_cell", "may_be_named"),
    [
        *(("base", True, False), ("sham", True, True), ("noise", False, True)),
        *(("rounding", False, False), ("base resampled", False, False)),
    ],
)
def test_only_cells_are_treatments_and_only_some_controls_may_be_named(control, is_cell, may_be_named, stance):
    def is_accepted(make):
        try:
            make()
        except ValueError as error:
            assert "Input should be " in str(error)
            return False
        return True

    assert is_accepted(lambda: Cell(model="m", treatment=control, stance=None, recipe=None, seed=0)) is is_cell
    assert is_accepted(lambda: Sweep(models=("m",), controls=[control])) is is_cell
    assert is_accepted(lambda: structural(stance, against=[control])) is may_be_named


@pytest.mark.parametrize(
    ("figure", "name"),
    [
        ({"control": SHAM, "role": "effect"}, "sham"),
        ({"control": "sham", "role": "own_effect", "about": "base"}, "sham - base"),
        ({"control": "base resampled", "role": "own_figure"}, "base resampled"),
        ({"control": "noise", "role": "most_changed", "about": "layers.1.up"}, "noise: layers.1.up"),
        ({"control": "base", "role": "compared", "about": "m, a (long)"}, "m, a (long) - base"),
        ({"role": "compared", "about": "layers.1.up, m, a (long)"}, "layers.1.up, m, a (long)"),
        ({"role": "toward", "about": "b"}, "toward b"),
        ({"role": "answers", "about": "plain"}, "plain answers"),
        ({"role": "rival", "about": "b"}, "trained on b"),
    ],
)
def test_a_figure_is_named_by_its_control_and_role(figure, name):
    made = ControlFigure(**figure, figure=1.0)
    assert made.name == name
    assert ControlFigure.model_validate(json.loads(made.model_dump_json())) == made


def test_what_belongs_together_is_known_again_for_a_copy_with_other_cells(whole_run):
    kept = whole_run.index
    assert whole_run.index is kept
    fewer = altered(whole_run, cells=whole_run.cells[:1])
    assert fewer.index is not kept
    assert fewer.index.replicates() == ()
    assert whole_run.index is kept
    assert whole_run == whole_run.model_copy()
