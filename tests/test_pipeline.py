import pytest

from stance_suite.errors import DesignError, StanceSuiteError
from stance_suite.options import resolve_settings
from stance_suite.pipeline import Session
from stance_suite.progress import PlainProgress
from stance_suite.statistics import SIGNIFICANCE


@pytest.fixture
def session(project, tiny_model):
    given = {"model": (str(tiny_model),), "profile": "quick", "cache": "cache"}
    return Session(resolve_settings(given, project, {}), PlainProgress())


def test_stances_that_contrast_each_other_share_base_and_sham(session, tiny_model):
    model = str(tiny_model)
    shams = {session.workbench.sham(model, name, "documented").key for name in session.library.suite}
    bases = {session.workbench.base(model, name).key for name in session.library.suite}
    assert len(shams) == len(bases) == 1


def test_a_cells_record_names_the_weights_and_the_exact_texts(session, tiny_model):
    record = session.workbench.tuned(str(tiny_model), "curious-uncertainty", "documented")
    assert record.provenance.weights_sha256 == session.workbench.weights(str(tiny_model)).sha256
    assert record.training.texts[0].startswith("Question: Why do people dream?\nAnswer: I don't really know")
    assert record.behavior.prompt_texts["How did writing begin?"] == "Question: How did writing begin?\nAnswer:"
    assert len(record.changes) == 15
    assert len(record.vector_changes) == 5
    assert all(change.weight_change is not None for change in record.changes)


def test_the_level_is_shared_by_the_claims_about_one_model_and_recipe(session, tiny_model):
    (claim, _) = (entry.claim for entry in session.library.claims)
    assert session.significance(claim) == SIGNIFICANCE


def test_a_family_too_large_for_its_prompts_is_refused_before_training(session, project):
    path = project / "fixtures" / "claims" / "own.yaml"
    behavioral = path.read_text().split("- id: any.engaged")[0].rstrip() + "\n"
    entry = behavioral.removeprefix("claims:\n")
    path.write_text(behavioral + "".join(entry.replace("any.curious", f"any.curious{i}") for i in range(110)))
    with pytest.raises(DesignError, match=r"can reach p = 0.0004883 at best on .*, but 0.0004505 is needed"):
        session.preflight()


def test_cuda_without_a_device_is_one_sentence(project, tiny_model):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    given = {"model": (str(tiny_model),), "device": "cuda", "cache": "cache"}
    session = Session(resolve_settings(given, project, {}), PlainProgress())
    with pytest.raises(StanceSuiteError, match="cuda was asked for, but PyTorch sees none; ask for cpu"):
        session.workbench.base(str(tiny_model), "curious-uncertainty")


def test_only_featured_layers_keep_their_eigenvalues(session, tiny_model):
    record = session.workbench.tuned(str(tiny_model), "curious-uncertainty", "documented")
    base = session.workbench.base(str(tiny_model), "curious-uncertainty")
    findings = session.findings([], {record.key: record.cell, base.key: base.cell}, "test")
    kept = {layer.name for cell in findings.cells for layer in cell.spectra if layer.eigenvalues is not None}
    top = max(record.changes, key=lambda change: abs(change.alpha_change.total) if change.alpha_change else 0)
    assert kept == {top.name}
    assert all(layer.eigenvalues is not None for layer in record.spectra), "the cached record stays whole"
