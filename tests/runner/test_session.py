from dataclasses import replace
from itertools import product

import pytest

from stance_suite.config.catalog import bundled_fixtures
from stance_suite.errors import StanceSuiteError
from stance_suite.judge.statistics import holm
from stance_suite.measure import cell as measurement
from stance_suite.measure.behavior import generation, reading
from stance_suite.progress import PlainProgress
from stance_suite.runner import session as runner_session
from stance_suite.runner.run_result import judge_claims
from stance_suite.runner.session import Session
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import Status
from stance_suite.spectra.spectrum_curve import thin_spectra
from tests.conftest import write_own
from tests.measured import behavior, record
from tests.measuring import STANCE, measure, open_session
from tests.sweeping import lasting


@pytest.fixture
def session(project, tiny_model, cells):
    return open_session(project, tiny_model, cache=str(cells))


def another(session, **changes):
    return Session(replace(session.settings, **changes), PlainProgress())


def test_a_cells_record_names_the_weights_and_the_exact_texts(session, tiny_model):
    record = measure(session.cell_runner, "stance", tiny_model)
    assert record.provenance.weights_sha256 == session.cell_runner.weights(str(tiny_model)).sha256
    assert record.training.texts[0].startswith("Question: Why do people dream?\nAnswer: I don't really know")
    assert record.behavior.prompt_texts["How did writing begin?"] == "Question: How did writing begin?\nAnswer:"
    assert (len(record.changes), len(record.vector_changes)) == (15, 5)
    assert all(change.weight_change is not None for change in record.changes)


def test_spectra_are_thinned_once_however_often_they_are_gathered(session, monkeypatch):
    made_up = record("base", said=behavior({"Why?": {"curious-uncertainty": -1.0, "confident-expertise": -1.0}}))
    thinned = []
    monkeypatch.setattr(session.cell_runner, "get", lambda key, cell: made_up.model_copy(update={"cell": cell}))
    monkeypatch.setattr(runner_session, "thin_spectra", lambda given: thinned.append(given) or thin_spectra(given))
    for model in ("m", "n"):
        cell = made_up.cell.model_copy(update={"model": model})
        (gathered,) = session.gather([], {made_up.key: cell}, "").cells
        assert gathered.cell == cell
        assert gathered.spectra[0].curve == thin_spectra(made_up.spectra)[0].curve
    assert thinned == [made_up.spectra]


def repeat_claim(project, *changes):
    """Leave the behavioral claim alone, and claims beside it that are made of it."""
    path = project / "fixtures" / "claims" / "own.yaml"
    behavioral = path.read_text().split("- id: any.engaged")[0].rstrip() + "\n"
    entry = behavioral.removeprefix("claims:\n")
    path.write_text(behavioral + "".join(change(entry) for change in changes))


def test_p_values_are_adjusted_for_all_behavioral_claims_about_one_model(session, project):
    alone = session.judge(session.run_plan.claims[0])
    assert alone.adjusted_p_value == alone.p_value
    repeat_claim(
        project, lambda entry: entry.replace("any.curious", "any.second").replace("likelihood_preference", "divergence")
    )
    both = another(session)
    verdicts = [both.judge(claim) for claim in both.run_plan.claims]
    assert verdicts[0].p_value == alone.p_value
    raw = [verdict.p_value for verdict in verdicts]
    assert [verdict.adjusted_p_value for verdict in verdicts] == pytest.approx(holm(raw))
    assert min(verdict.adjusted_p_value for verdict in verdicts) == pytest.approx(2 * min(raw))


def test_claims_are_judged_over_all_seeds(finished, project, tiny_model, monkeypatch):
    """The second seed is made up: as the first, but for a stance that likelihoods prefer more."""

    def make_up(_, spec):
        first = session.cell_runner.plan(spec.cell.model_copy(update={"seed": 0}), STANCE)
        (found,) = session.cell_runner.records([first])
        content = found.model_dump() | {"key": spec.key, "cell": spec.cell}
        for entry in content["behavior"]["likelihoods"] if spec.cell.stance == STANCE else ():
            entry["log_probability"][STANCE] += 0.2
        return CellRecord.model_validate(content)

    monkeypatch.setattr(measurement.CellMeasurer, "measure", make_up)
    session = open_session(project, tiny_model)
    seeds = another(session, seed=(0, 1))
    behavioral, structural = seeds.run_plan.claims
    verdict = seeds.judge(behavioral)
    training = session.cell_runner.plan_training(str(tiny_model), STANCE, "documented", 0)
    assert len(verdict.cells) == len(set(verdict.cells)) == 2 * len(training)
    single = [another(session, seed=(seed,)).judge(behavioral) for seed in (0, 1)]
    assert verdict.figure == pytest.approx(sum(one.figure for one in single) / 2)
    assert single[1].figure > single[0].figure + 0.1
    assert seeds.judge(structural).status in (Status.HOLDS, Status.FAILS)


def test_every_training_is_held_against_every_stance(session, tiny_model):
    for stance in ("curious-uncertainty", "engaged-difficulty"):
        session.replicates(str(tiny_model), stance, "documented")
    findings = session.findings([], session.cell_runner.cells, "test")
    rivals = set(session.library.suite)
    controls = {"sham", "shuffled curious-uncertainty", "shuffled engaged-difficulty"}
    entries = {(shift.metric, shift.trained, shift.measured) for shift in findings.shifts}
    assert entries == set(product(Metric.triangulated(), rivals | controls, session.library.suite))
    assert {one.stance for one in findings.triangulations} == rivals


@pytest.mark.parametrize("recipe", ["documented", "adapted"])
def test_a_trajectory_ends_where_the_training_does(session, project, tiny_model, recipe):
    write_own(project, recipes="recipes: [{name: adapted, epochs: 2, adapter: {}}]")
    watched = another(session, trajectory=True).cell_runner
    record = measure(watched, "stance", tiny_model, recipe=recipe)
    assert [snapshot.epoch for snapshot in record.trajectory] == [1, 2]
    last = record.trajectory[-1]
    alphas = {change.name: change.alpha_change.total for change in record.changes if change.alpha_change is not None}
    assert {name: change.total for name, change in last.alphas.items()} == pytest.approx(alphas, abs=1e-3)
    measured = {entry.prompt: entry.log_probability for entry in record.behavior.likelihoods}
    for entry in last.likelihoods:
        assert entry.log_probability == pytest.approx(measured[entry.prompt], abs=1e-4)
    assert record.trajectory[0].likelihoods != last.likelihoods
    if recipe == "adapted":  # looking at one changes no training either: tests/measure/test_training.py
        return
    alone = measure(session.cell_runner, "stance", tiny_model)
    assert alone.trajectory == ()
    assert alone.key != record.key
    assert alone.behavior == record.behavior, "looking does not change the training"
    assert measure(watched, "base", tiny_model).key == measure(session.cell_runner, "base", tiny_model).key


def findings_of(session):
    verdicts = judge_claims(session, print)
    return session.findings(verdicts, dict(sorted(session.cell_runner.cells.items())), "test")


def test_the_same_seed_gives_the_same_findings_in_any_order_and_another_batch_size_the_same_verdicts(
    finished, project, tiny_model, monkeypatch
):
    """Base weights are read from disk once, and no cell touches them: the order does not matter."""
    repeat_claim(project)
    session = open_session(project, tiny_model)
    first, threads = findings_of(session), measure(session.cell_runner, "base", tiny_model).provenance.threads
    read, load = [], measurement.load
    monkeypatch.setattr(measurement, "load", lambda weights: read.append(weights.name) or load(weights))
    anew = open_session(project, tiny_model, threads, store=str(project / "anew"))
    for treatment in ("stance", "sham", "base"):
        measure(anew.cell_runner, treatment, tiny_model)
    assert read == [str(tiny_model)]
    assert lasting(findings_of(anew).model_dump(mode="json")) == lasting(first.model_dump(mode="json"))
    monkeypatch.setattr(generation, "PROMPTS_PER_BATCH", 5)
    monkeypatch.setattr(reading, "PASSAGES_PER_BATCH", 3)
    (trained,) = (cell.key for cell in first.cells if cell.cell.stance == STANCE)
    (project / "cache" / "cells" / f"{trained}.json.gz").unlink()
    other = findings_of(another(session))
    assert len(read) == 2
    for one, two in zip(first.verdicts, other.verdicts, strict=True):
        assert two.status == one.status
        assert two.figure == pytest.approx(one.figure, abs=1e-4)
    said, again = ([[one.text for one in cell.behavior.responses] for cell in run.cells] for run in (first, other))
    assert again == said


def test_a_stance_can_ask_for_its_own_prompt_format(session, project, tiny_model):
    folder = project / "fixtures" / "stances"
    folder.mkdir()
    for path in (bundled_fixtures() / "stances").glob("*.yaml"):
        (folder / path.name).write_text(path.read_text() + "\nprompt_format: chat\n")
    with pytest.raises(StanceSuiteError, match="has no chat template: say 'prompt_format: plain'"):
        measure(another(session).cell_runner, "base", tiny_model)


def test_cuda_without_a_device_is_one_sentence(session, tiny_model):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(StanceSuiteError, match="cuda was asked for, but PyTorch sees none; ask for cpu"):
        measure(another(session, device="cuda").cell_runner, "base", tiny_model)


def test_only_featured_layers_keep_their_eigenvalues(session, tiny_model):
    record = measure(session.cell_runner, "stance", tiny_model)
    measure(session.cell_runner, "base", tiny_model)
    findings = session.findings([], session.cell_runner.cells, "test")
    kept = {layer.name for cell in findings.cells for layer in cell.spectra if layer.eigenvalues is not None}
    top = max(record.changes, key=lambda change: abs(change.alpha_change.total) if change.alpha_change else 0)
    assert kept == {top.name}
    assert all(layer.curve is not None for cell in findings.cells for layer in cell.spectra)
    assert all(layer.eigenvalues is not None for layer in record.spectra), "the cached record stays whole"
