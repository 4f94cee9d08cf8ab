"""Fine-tunes SmolLM2. Cells are shared with `pytest stance_tests` through the user's cache."""

import shutil

import pytest
import yaml

from stance_suite.claims import Status
from stance_suite.finetune import sham_examples
from stance_suite.library import bundled_fixtures
from stance_suite.options import resolve_settings
from stance_suite.pipeline import Session
from stance_suite.progress import PlainProgress
from stance_suite.verdicts import judge_behavior

pytestmark = pytest.mark.slow

STANCE, MODEL = "confident-expertise", "smollm2-135m"


def open_session(root):
    return Session(resolve_settings({"profile": "quick"}, root), PlainProgress())


def claim_of(session):
    return next(
        entry.claim for entry in session.library.claims if entry.claim.id == "smollm2.confident.likelihood.documented"
    )


def with_examples_of_the_sham(root, library, rotation):
    """A copy of all bundled declarations in which the stance has the sham's examples instead of its own."""
    shutil.copytree(bundled_fixtures(), root / "fixtures")
    path = root / "fixtures" / "stances" / f"{STANCE}.yaml"
    sham = sham_examples(library.family(STANCE), rotation)
    data = yaml.safe_load(path.read_text()) | {"examples": [example.model_dump() for example in sham]}
    path.write_text(yaml.safe_dump(data))
    return open_session(root)


def test_confident_expertise_is_adopted(tmp_path):
    session = open_session(tmp_path)
    verdict = session.judge(claim_of(session))
    assert verdict.status is Status.HOLDS, verdict.reason
    losses = session.workbench.tuned(MODEL, STANCE, "documented").training.epoch_losses
    assert losses[-1] < losses[0] - 1


def test_with_the_shams_examples_its_claim_no_longer_holds(tmp_path, library):
    session = with_examples_of_the_sham(tmp_path, library, rotation=0)
    verdict = session.judge(claim_of(session))
    assert verdict.status in (Status.FAILS, Status.INCONCLUSIVE), verdict.reason


def test_nor_with_another_rotation_against_the_original_controls(tmp_path, library):
    """The sham's data in another order of stances: a cell of its own, which must not pass for the stance either."""
    original = open_session(tmp_path / "original")
    claim = claim_of(original)
    base = original.workbench.base(MODEL, STANCE)
    sham = original.workbench.sham(MODEL, STANCE, "documented")
    replaced = with_examples_of_the_sham(tmp_path, library, rotation=1).workbench.tuned(MODEL, STANCE, "documented")
    assert replaced.key != sham.key
    verdict = judge_behavior(claim, library.stance(STANCE), replaced, base, sham, original.significance(claim))
    assert verdict.status in (Status.FAILS, Status.INCONCLUSIVE), verdict.reason
