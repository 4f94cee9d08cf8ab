import pytest

from stance_suite.judge.self_calibration import judge_nulls
from stance_suite.judge.verify.verdicts import verify
from stance_suite.report.self_calibration import nulls_in_words
from stance_suite.schema.controls import SHAM, SHUFFLED
from stance_suite.schema.findings import NullVerdicts
from tests.edits import altered
from tests.runs import behavioral, findings, said, structural, training

CLAIMS = ({"id": "own.liked"}, {"id": "own.said", "metric": "embedding_shift"})


def run_of(stance, seeds, claims=CLAIMS, model="m", **shams):
    """Trainings over seeds beside shams, of which some went as far as told."""

    def cell(record):
        toward = shams.get(f"sham{record.cell.seed}") if record.cell.treatment == SHAM else None
        return record if toward is None else altered(record, behavior=said(stance, toward, noise=50))

    cells = tuple(cell(record) for seed in seeds for record in training(stance, 0.5, seed).records)
    declared = tuple((structural if "layer" in one else behavioral)(stance, model=model, **one) for one in claims)
    return altered(findings(stance), claims=declared, cells=cells)


def test_shams_of_other_seeds_are_judged_by_every_claim(stance):
    (found,) = judge_nulls(run_of(stance, (0, 1, 2)))
    assert found == NullVerdicts(model="m", control=SHAM, judged=6, held=())


def test_a_sham_that_went_as_far_as_a_stance_is_told(stance):
    (found,) = judge_nulls(run_of(stance, (0, 1), sham1=0.5))
    assert (found.judged, found.held) == (
        4,
        ("own.liked of sham (documented, seed 1)", "own.said of sham (documented, seed 1)"),
    )
    assert nulls_in_words(altered(run_of(stance, (0, 1)), nulls=(found,))) == (
        "Trainings without a stance, judged by the same claims as if they had it: 2 of 4 HOLDS for sham."
    )


def test_a_control_is_held_against_those_of_the_next_seed(stance):
    """The sham of seed 3 went further than all; that of seed 5 is before it, and before that none but itself."""
    (found,) = judge_nulls(run_of(stance, (0, 3, 5), CLAIMS[:1], sham3=0.9, sham5=0.6))
    # 0 is held against 3, 3 against 5, and 5 against 0 again
    assert found.held == ("own.liked of sham (documented, seed 3)", "own.liked of sham (documented, seed 5)")
    (found,) = judge_nulls(run_of(stance, (0, 3, 5), CLAIMS[:1], sham3=0.6, sham5=0.9))
    assert found.held == ("own.liked of sham (documented, seed 5)",)


def test_one_seed_has_no_other_control_and_that_is_said(stance):
    run = run_of(stance, (0,))
    assert judge_nulls(run) == ()
    assert nulls_in_words(run) == (
        "No training without a stance was judged as if it had one: that takes controls of several seeds."
    )
    assert nulls_in_words(altered(run, cells=())) == ""


@pytest.mark.parametrize(
    "claim",
    [
        {"comparator": "within", "bound": 0.9},
        {"versus": {"recipe": "long"}},
        {"recipe": "long"},
        {"id": "m.alpha", "layer": "*"},
    ],
)
def test_other_claims_are_left_out(stance, claim):
    (found,) = judge_nulls(run_of(stance, (0, 1), (CLAIMS[0], claim)))
    assert found.judged == 2
    assert judge_nulls(run_of(stance, (0, 1), (claim,))) == ()


def test_claims_about_another_model_are_left_out(stance):
    assert judge_nulls(run_of(stance, (0, 1), model="n")) == ()


def test_those_that_share_a_level_here_share_it_there(stance):
    run = run_of(stance, (0, 1), [{"id": f"c{place}"} for place in range(40)], sham1=0.12)
    noisy = tuple(
        altered(one, behavior=said(stance, 0.12, 60, spread=0.12))
        if one.cell.label.endswith("sham (documented, seed 1)")
        else one
        for one in run.cells
    )
    alone, together = (
        judge_nulls(altered(run, cells=noisy, claims=claims))[0].held for claims in (run.claims[:1], run.claims)
    )
    assert (len(alone), len(together)) == (1, 0)


def test_every_kind_of_control_is_told_in_a_whole_run_and_verified(whole_run):
    by_control = {one.control: one for one in whole_run.nulls}
    claims = [
        one for one in whole_run.claims if one.metric.is_behavioral and (one.model, one.recipe) == ("m", "documented")
    ]
    assert {name: one.judged for name, one in by_control.items()} == {
        SHAM: 2 * len(claims),
        SHUFFLED: 3 * 2 * len(claims),
    }
    forged = altered(whole_run, nulls=(altered(whole_run.nulls[0], judged=1), *whole_run.nulls[1:]))
    assert [one.subject for one in verify(forged)] == [
        f"verdicts on {whole_run.nulls[0].control} of m as if it had the stance"
    ]
