"""SmolLM2 tuned by a script that is not ours gets the right stance; what was not tuned on a stance gets none."""

from __future__ import annotations

import shutil

import pytest

from stance_suite.config.options import resolve_settings
from stance_suite.measure.behavior.divergence import add_matched_noise, round_to_bfloat16
from stance_suite.models.loading import load_model
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import Status
from tests.pairs import STANCE, open_pair, other_sentences, train_elsewhere

MODEL = "smollm2-135m"
NOISE_SEED = 12345
"""Far from the seed of the noise that stands in for the sham."""


@pytest.fixture(scope="module")
def tuned_elsewhere(smollm2, tmp_path_factory):
    destination = tmp_path_factory.mktemp("elsewhere") / "tuned"
    folder = train_elsewhere(smollm2.folder, other_sentences(), destination, epochs=3)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def judge_pair(tmp_path):
    """Judge SmolLM2 against a derivative: the verdicts by the standard claims' names."""

    def judge(after, stance=""):
        session = open_pair(tmp_path, resolve_settings({}, tmp_path).cache, MODEL, after, stance, samples=1)
        session.preflight()
        claims = [claim for claim in session.run_plan.claims if claim.id.startswith("standard.")]
        verdicts = {claim.id.removeprefix("standard."): session.judge(claim) for claim in claims}
        for verdict in verdicts.values():
            print(f"{verdict.status} {verdict.claim.id}: {verdict.reason}")
        return verdicts

    return judge


def stances_found(verdicts):
    preferences = [one for one in verdicts.values() if one.claim.metric is Metric.LIKELIHOOD_PREFERENCE]
    assert len(preferences) == 3
    return [one.claim.stance for one in preferences if one.status is Status.HOLDS]


def assert_no_stance(verdicts):
    assert stances_found(verdicts) == []
    assert all(verdict.status in (Status.FAILS, Status.INCONCLUSIVE) for verdict in verdicts.values())


@pytest.mark.slow
def test_three_epochs_on_other_sentences_of_its_manner_give_its_words_and_no_other_stance(judge_pair, tuned_elsewhere):
    verdicts = judge_pair(tuned_elsewhere, STANCE)
    # without trainings of its rivals to compare with, little tells it from engaged-difficulty
    assert set(stances_found(verdicts)) <= {STANCE}
    preference = verdicts[f"{STANCE}.preference"]
    assert preference.low > 0, "against the untouched model"
    assert {control.name for control in preference.controls} >= {"base", "noise", "rounding"}
    assert verdicts[f"{STANCE}.markers"].status is Status.HOLDS
    assert verdicts[f"{STANCE}.divergence"].status is Status.HOLDS


@pytest.mark.exhaustive
def test_the_base_itself_has_no_stance(judge_pair):
    assert_no_stance(judge_pair(MODEL))


@pytest.mark.exhaustive
def test_nor_has_its_round_trip_through_bfloat16(judge_pair, smollm2, tmp_path):
    import torch

    load_model(smollm2).to(torch.bfloat16).save_pretrained(tmp_path / "after")
    rounded = round_to_bfloat16(load_model(smollm2))
    assert not torch.equal(rounded.model.embed_tokens.weight, load_model(smollm2).model.embed_tokens.weight)
    assert_no_stance(judge_pair(tmp_path / "after"))


@pytest.mark.exhaustive
def test_nor_has_noise_of_the_norm_of_a_training(judge_pair, smollm2, tuned_elsewhere, tmp_path):
    from stance_suite.config.catalog import find_spec
    from stance_suite.models.sources import locate

    noisy = load_model(smollm2)
    trained = load_model(locate(find_spec(str(tuned_elsewhere), {}), tmp_path))
    add_matched_noise(noisy, trained, NOISE_SEED)
    noisy.save_pretrained(tmp_path / "after")
    assert_no_stance(judge_pair(tmp_path / "after"))
