"""Fine-tunes SmolLM2. Cells are shared with `pytest stance_tests` through the user's cache."""

import pytest
import yaml

from stance_suite.claims import Status
from stance_suite.finetune import sham_examples
from stance_suite.options import resolve_settings
from stance_suite.pipeline import Session
from stance_suite.progress import PlainProgress

pytestmark = pytest.mark.slow

CLAIM = "smollm2.confident.likelihood.documented"


def judge(root, library):
    session = Session(resolve_settings({"profile": "quick"}, root), PlainProgress())
    claim = next(entry.claim for entry in library.claims if entry.claim.id == CLAIM)
    return session.judge(claim)


def test_confident_expertise_is_adopted(tmp_path, library):
    verdict = judge(tmp_path, library)
    assert verdict.status is Status.HOLDS, verdict.reason
    losses = (
        Session(resolve_settings({}, tmp_path), PlainProgress())
        .workbench.store.get(verdict.cells[0])
        .training.epoch_losses
    )
    assert losses[-1] < losses[0] - 1


@pytest.mark.parametrize("rotation", [0, 1])
def test_trained_on_the_shams_examples_it_is_not_adopted(tmp_path, library, rotation):
    """The claim must fail when the stance's own examples are gone, even if the sham is another rotation."""
    data = library.stance("confident-expertise").model_dump(mode="json")
    sham = sham_examples(library.family("confident-expertise"), rotation)
    data["examples"] = [example.model_dump() for example in sham]
    (tmp_path / "fixtures" / "stances").mkdir(parents=True)
    (tmp_path / "fixtures" / "stances" / "confident-expertise.yaml").write_text(yaml.safe_dump(data))
    verdict = judge(tmp_path, library)
    assert verdict.status in (Status.FAILS, Status.INCONCLUSIVE), verdict.reason
