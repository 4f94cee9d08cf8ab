"""Fine-tunes SmolLM2. Cells are shared with `pytest stance_tests` through the user's cache."""

import shutil

import pytest
import yaml
from scipy.stats import binomtest

from stance_suite.config.catalog import bundled_fixtures
from stance_suite.config.options import resolve_settings
from stance_suite.judge.behavior.evidence import gather_evidence
from stance_suite.judge.behavior.verdict import judge_behavior
from stance_suite.judge.statistics import SIGNIFICANCE, holm
from stance_suite.progress import PlainProgress
from stance_suite.runner.plan import lay_out_designs
from stance_suite.runner.session import Session
from stance_suite.schema.controls import SHAM
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Status
from tests.measuring import measure
from tests.runs import judged_alone

SHAMS = 10
STANCE, MODEL = "confident-expertise", "smollm2-135m"


def open_session(root, profile="quick"):
    return Session(resolve_settings({"profile": profile}, root), PlainProgress())


def claim_of(session):
    return next(one for one in session.run_plan.claims if one.id == "smollm2.confident.likelihood.documented")


def adoption_claims(session, recipe="documented"):
    designs = lay_out_designs(session.run_plan, session.library)
    claims = [claim for claim, _ in designs if claim.recipe == recipe and claim.metric.is_triangulated]
    assert len(claims) == 12
    return claims


def with_plain_answers(root):
    """A copy of all bundled declarations in which the stance is trained on the sham's answers instead of its own."""
    shutil.copytree(bundled_fixtures(), root / "fixtures")
    path = root / "fixtures" / "stances" / f"{STANCE}.yaml"
    data = yaml.safe_load(path.read_text())
    for one in data["examples"]:
        one["response"], one["plain"] = one["plain"], one["response"]
    path.write_text(yaml.safe_dump(data))
    return open_session(root)


@pytest.mark.slow
def test_the_stance_is_learned_by_heart_and_its_claim_is_as_on_record(tmp_path):
    session = open_session(tmp_path)
    verdict = session.judge(claim_of(session))
    assert verdict.as_expected, verdict.reason
    losses = measure(session.cell_runner, "stance", MODEL, STANCE).training.epoch_losses
    assert losses[-1] < losses[0] - 1


@pytest.mark.exhaustive
def test_with_the_shams_examples_its_claim_no_longer_holds(tmp_path, library):
    session = with_plain_answers(tmp_path)
    verdict = session.judge(claim_of(session))
    assert verdict.status in (Status.FAILS, Status.INCONCLUSIVE), verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "other"), [("documented", "long"), ("long", "documented")])
def test_a_sham_in_the_place_of_a_stance_adopts_none(tmp_path, recipe, other):
    """Judged by every claim of its recipe that a stance was adopted, beside the sham of the other recipe."""
    session = open_session(tmp_path, profile="full")
    base = measure(session.cell_runner, "base", MODEL, STANCE)
    sham, control = (measure(session.cell_runner, "sham", MODEL, STANCE, name) for name in (recipe, other))
    replicate = Replicate(sham, base, {SHAM: control})
    for claim in adoption_claims(session, recipe):
        evidence = gather_evidence(claim, [replicate])
        verdict = judged_alone(evidence)
        assert verdict.status in (Status.FAILS, Status.INCONCLUSIVE), verdict.reason


@pytest.mark.exhaustive
def test_shams_of_other_seeds_adopt_no_stance(tmp_path):
    """Ten trainings without a stance, each judged by every declared claim that a stance was adopted."""
    session = open_session(tmp_path)
    claims = adoption_claims(session)
    base = measure(session.cell_runner, "base", MODEL, STANCE)
    control = measure(session.cell_runner, "sham", MODEL, STANCE)
    false_families = 0
    for seed in range(1, SHAMS + 1):
        sham = measure(session.cell_runner, "sham", MODEL, STANCE, seed=seed)
        replicate = Replicate(sham, base, {SHAM: control})
        evidence = [gather_evidence(claim, [replicate]) for claim in claims]
        adjusted = holm([one.p_value for one in evidence])
        verdicts = [judge_behavior(one, p_value, one.p_short) for one, p_value in zip(evidence, adjusted, strict=True)]
        for one, p_value, verdict in zip(evidence, adjusted, verdicts, strict=True):
            effects = ", ".join(f"{effect.effect:+.3f} against {name}" for name, effect in one.versus.items())
            print(f"sham with seed {seed}: {one.claim.id}: {effects}, adjusted p {p_value:.3f}: {verdict.status}")
        false_families += any(verdict.status is Status.HOLDS for verdict in verdicts)
    print(f"{false_families} of {SHAMS} families with a false claim")
    assert binomtest(false_families, SHAMS, SIGNIFICANCE, alternative="greater").pvalue > 0.01
