from dataclasses import replace

import numpy as np
import pytest

from stance_suite.judge.behavior.triangulation import compare_trainings, triangulate
from stance_suite.judge.power import pooled_spread
from stance_suite.judge.statistics import paired_effect
from stance_suite.schema.controls import SHAM
from stance_suite.schema.findings import Agreement, Level
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import CellIndex
from tests.edits import altered
from tests.judge.behavior.test_verdict import preferences
from tests.judge.behavior.test_verdict import said as like_all
from tests.measured import behaving, behavior, beside

LIKELIHOOD, SPOKEN, EMBEDDING, MARKERS = (
    Metric.LIKELIHOOD_PREFERENCE, Metric.SPOKEN_SHARE, Metric.EMBEDDING_SHIFT, Metric.MARKER_RATE
)  # fmt: skip


def said(stance, likelihood=0.0, embedding=0.0, markers=0.0, spoken=0.0, seed=0):
    """Every measure shifted toward the stance by its own amount, with a spread of 1; markers in whole hits."""
    by_likelihood, by_embedding, by_markers = (
        like_all(stance, toward, spread=1.0, seed=[seed, place])
        for place, toward in enumerate((likelihood, embedding, markers))
    )
    rng = np.random.default_rng([seed, 3])
    pairs = zip(by_embedding.responses, by_markers.responses, strict=True)
    responses = tuple(
        altered(one, markers=other.markers, sample=0, nearest=stance.name if rng.random() < spoken else "plain")
        for one, other in pairs
    )
    return altered(by_likelihood, responses=responses)


def cells(stance, seed=0, rivals=None, shuffled=None, **toward):
    tuned, base, sham = (said(stance, **shift, seed=9 * seed + i) for i, shift in enumerate((toward, {}, {})))
    others = rivals and {
        name: said(stance, likelihood=level, seed=9 * seed + 5 + place)
        for place, (name, level) in enumerate(zip(stance.contrasts, rivals, strict=True))
    }
    words = None if shuffled is None else said(stance, likelihood=shuffled, seed=9 * seed + 7)
    return behaving(stance, tuned, base, sham, words, others, seed)


@pytest.mark.parametrize(
    ("toward", "agreement", "moved", "away"),
    [
        (
            {"likelihood": 6, "embedding": 6, "markers": 6, "spoken": 0.8},
            Agreement.ADOPTED,
            (LIKELIHOOD, SPOKEN, EMBEDDING, MARKERS),
            (),
        ),
        ({"likelihood": 6, "spoken": 0.8}, Agreement.ADOPTED, (LIKELIHOOD, SPOKEN), ()),
        ({"likelihood": 6, "embedding": 6}, Agreement.ADOPTED, (LIKELIHOOD, EMBEDDING), ()),
        ({"likelihood": 6, "markers": 6}, Agreement.PARTIAL, (LIKELIHOOD, MARKERS), ()),
        ({"likelihood": 6}, Agreement.PARTIAL, (LIKELIHOOD,), ()),
        ({"embedding": 6, "spoken": 0.8}, Agreement.PARTIAL, (SPOKEN, EMBEDDING), ()),
        ({"likelihood": 6, "embedding": -6}, Agreement.CONTRADICTORY, (LIKELIHOOD,), (EMBEDDING,)),
        ({"likelihood": -6}, Agreement.OPPOSED, (), (LIKELIHOOD,)),
        ({}, Agreement.SILENT, (), ()),
    ],
)
def test_the_rule_of_agreement(stance, toward, agreement, moved, away):
    found = triangulate(stance.name, [cells(stance, **toward)])
    assert (found.agreement, found.toward, found.away) == (agreement, moved, away)
    assert (found.model, found.recipe, found.stance) == ("m", "documented", stance.name)


@pytest.mark.parametrize(
    ("likelihood", "rivals", "shuffled", "level"),
    [
        (0.0, (0.0, 0.0), 0.0, Level.NOTHING),
        (6.0, (0.0, 6.0), 0.0, Level.REGISTER),
        (6.0, (0.0, 0.0), 6.0, Level.VOCABULARY),
        (6.0, (0.0, 0.0), None, Level.VOCABULARY),
        (6.0, (0.0, 0.0), 0.0, Level.STANCE),
    ],
)
def test_how_far_a_training_got_is_no_further_than_is_shown(stance, likelihood, rivals, shuffled, level):
    replicate = cells(stance, rivals=rivals, shuffled=shuffled, likelihood=likelihood)
    assert triangulate(stance.name, [replicate]).level is level


def test_an_effect_that_is_significant_and_small_has_not_moved(stance):
    replicate = behaving(stance, *(like_all(stance, level, seed=seed) for seed, level in enumerate((0.09, 0.0, 0.0))))
    found = triangulate(stance.name, [replicate])
    assert (found.agreement, found.level) == (Agreement.PARTIAL, Level.NOTHING)
    assert LIKELIHOOD not in found.toward


def test_a_shift_that_the_sham_shows_too_or_that_it_surpasses_is_no_agreement(stance):
    one = cells(stance, likelihood=6, embedding=6, markers=6)
    for moved in (one.tuned.behavior, said(stance, 12, 12, 12, seed=9)):
        found = triangulate(stance.name, [beside(one.tuned, one.base, altered(one.controls[SHAM], behavior=moved))])
        assert found.agreement is Agreement.SILENT


def test_models_trained_elsewhere_are_asked_about_every_stance_they_were_measured_for(stance, library):
    one = cells(stance, likelihood=6)
    lonely = altered(cells(stance, seed=1).tuned, cell=altered(one.tuned.cell, model="n"))  # without an untouched model
    elsewhere = altered(one.tuned, cell=altered(one.tuned.cell, treatment="elsewhere", stance=None))
    shifts, triangulations = compare_trainings([lonely, *one.records[1:], elsewhere])
    names = [stance.name, *stance.contrasts]
    assert [found.stance for found in triangulations] == names
    own = [shift.measured for shift in shifts if shift.trained == "elsewhere"]
    assert own == names * 4
    assert len(own) == len(shifts) / 2 == 12


def test_the_confusion_matrix_has_every_training_against_every_stance(stance, library):
    one = cells(stance, likelihood=3)
    shifts, triangulations = compare_trainings(one.records)
    assert len(shifts) == 4 * 2 * 3
    entries = {(s.metric, s.trained, s.measured): s for s in shifts}
    own = entries[LIKELIHOOD, stance.name, stance.name]
    assert own.effect == pytest.approx(3, abs=1)
    tuned, base = (preferences(stance, stance.name, [side.behavior], stance.prompts) for side in (one.tuned, one.base))
    expected = paired_effect(tuned - base)
    found = own.effect, own.low, own.high, own.p_value
    assert found == pytest.approx((expected.effect, expected.low, expected.high, expected.p_value))
    assert (own.model, own.recipe, own.family) == ("m", "documented", "f")
    assert abs(entries[LIKELIHOOD, stance.name, stance.contrasts[0]].effect) < 1, "what one gains, no other loses"
    assert abs(entries[LIKELIHOOD, "sham", stance.name].effect) < 1
    assert [one.stance for one in triangulations] == [stance.name]


def test_a_training_without_its_controls_is_left_out(stance, library):
    one = cells(stance)
    assert compare_trainings([one.tuned, one.controls[SHAM]]) == ((), ())
    shifts, triangulations = compare_trainings([one.base, one.tuned])
    assert len(shifts) == 12
    assert triangulations == ()
    other_seed = cells(stance, seed=1)
    assert CellIndex([one.tuned, *other_seed.records[1:]]).replicates() == ()
    assert CellIndex([*one.records, *other_seed.records]).replicates() == ((one, other_seed),)


def test_families_are_not_mixed(stance, library):
    one, other = cells(stance, likelihood=3), cells(stance, seed=1)
    moved = [altered(record, family="g", cell=altered(record.cell, seed=0)) for record in other.records]
    first, _ = compare_trainings(one.records)
    both, _ = compare_trainings([*moved, *one.records])
    assert [shift for shift in both if shift.family == "f"] == list(first)
    assert len(both) == 2 * len(first)


def test_spreads_are_pooled_over_trainings(stance, library):
    trainings = [[cells(stance, seed=seed) for seed in range(40)]]
    # independent normals of deviation 1: tuned less base
    spread = pooled_spread(LIKELIHOOD, trainings)
    assert spread.prompts == pytest.approx(np.sqrt(2), rel=0.1)
    assert spread.samples == 0
    assert spread.seeds < 0.3
    shift = pooled_spread(EMBEDDING, trainings)
    assert shift.prompts == pytest.approx(np.sqrt(2), rel=0.1), "both samples of a prompt are the same here"
    assert shift.samples == 0
    assert pooled_spread(LIKELIHOOD, []) is None
    silent = [[replace(one, tuned=altered(one.tuned, behavior=behavior({})))] for (one, *_) in trainings]
    assert pooled_spread(LIKELIHOOD, silent) is None
