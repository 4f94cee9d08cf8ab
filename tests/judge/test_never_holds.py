"""Whatever figure is lost, no claim about it holds; and the tail flip, on spectra whose fits really flip."""

import math
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.schema.metrics import Caveat, Comparator, Metric
from stance_suite.schema.verdicts import Status
from stance_suite.spectra.power_law import alpha_change, fit_power_law
from tests.edits import altered
from tests.judge.placed_changes import NAMES, claim, moved, replicate, vectors
from tests.measured import alpha_change as made_up
from tests.measured import layer
from tests.spectra.flipping import flipping_pair

LOST = st.sampled_from([None, math.nan, math.inf, -math.inf])
STRUCTURAL = [metric for metric in Metric.all() if not metric.is_behavioral]
FIGURES_OF_CHANGE = {
    Metric.RELATIVE_CHANGE_PERCENT: "relative_norm",
    Metric.CHANGE_STABLE_RANK: "stable_rank",
    Metric.CHANGE_TOP_TEN_ENERGY_PERCENT: "top_ten_energy",
    Metric.SINGULAR_SUBSPACE_OVERLAP: "left_overlap",
}


def about(metric, comparator, over, **more):
    """A claim that is true of every layer made up here, whatever it is about."""
    wide = {"above": -1e6, "below": 1e6, "within": 1e6, "beyond": 0.0, "between": (-1e6, 1e6)}
    counts = {"changed_beyond": 0.01} if metric.counts_changed_layers else {}
    pooled = {} if metric.spans_layers else {"over": over}
    return claim(metric=metric, comparator=comparator, bound=wide[comparator], **counts, **pooled, **more)


def damaged(metric, lost, every):
    """Three layers and vectors, of which one has lost its figure, or all."""
    layers, norms = moved(5, 7, 9, start=1), [0.1, 0.2, 0.3]
    one = replicate(layers, moved(1, 2, 3), vector_changes=vectors(*norms))
    spectra = list(one.tuned.spectra)
    for index in range(3 if every else 1):
        change = layers[index]
        if metric is Metric.ALPHA:
            fit = None if lost is None else altered(spectra[index].fit, alpha=lost)
            spectra[index] = altered(spectra[index], fit=fit)
        elif metric is Metric.VECTOR_CHANGE_PERCENT:
            norms[index] = lost
        elif metric.rests_on_alpha_change:
            layers[index] = altered(change, alpha_change=None if lost is None else made_up(lost, lost))
        else:
            figure = math.nan if lost is None and metric is not Metric.SINGULAR_SUBSPACE_OVERLAP else lost
            delta = altered(change.weight_change, **{FIGURES_OF_CHANGE[metric]: figure})
            layers[index] = altered(change, weight_change=delta)
    lost_there = {"changes": tuple(layers), "spectra": tuple(spectra), "vector_changes": vectors(*norms)}
    return replace(one, tuned=altered(one.tuned, **lost_there))


COMPARATORS = st.sampled_from([one for one in Comparator if not one.compares_layers])


@given(
    st.sampled_from(STRUCTURAL), COMPARATORS, st.sampled_from(["each", "any", "mean", "largest"]), LOST, st.booleans()
)
@settings(max_examples=300)
def test_no_structural_claim_holds_on_what_is_lost(metric, comparator, over, lost, every):
    declared = about(metric, comparator, over)
    whole = replicate(moved(5, 7, 9, start=1), vector_changes=vectors(0.1, 0.2, 0.3))
    assert judge_structure(declared, whole).status is Status.HOLDS, "else the test would prove nothing"
    status = judge_structure(declared, damaged(metric, lost, every)).status
    if over == "any" and not every and not metric.spans_layers:
        assert status is Status.HOLDS, "one layer is enough, and the others have it"
    else:
        assert status is Status.INCONCLUSIVE


RANKED = "alpha_change_percent", "vector_change_percent"
RANKINGS = [
    claim(metric=metric, comparator=comparator, bound=None, versus={"recipe": "long"})
    for metric, comparator in product(RANKED, ("same_layer", "another_layer"))
]
COMPARISONS = [
    about(metric, "above", "largest", versus={"recipe": "long", "by": by})
    for metric, by in product(STRUCTURAL, ("difference", "ratio"))
]


@given(st.sampled_from(COMPARISONS + RANKINGS), LOST, st.booleans(), st.sampled_from([1, -1]))
@settings(max_examples=300)
def test_no_comparison_or_rank_holds_on_what_is_lost(declared, lost, every, order):
    figures = {"tuned": moved(5, 7, 9), "sham": moved(1, 2, 3), "vector_changes": vectors(0.1, 0.2, 0.3)}
    whole, again = (replicate(**figures, key=key) for key in ("whole", "again"))
    differ = declared.comparator is Comparator.ANOTHER_LAYER
    assert judge_structure(declared, whole, again).status is (Status.FAILS if differ else Status.HOLDS)
    verdict = judge_structure(declared, *(damaged(declared.metric, lost, every), whole)[::order])
    assert verdict.status is Status.INCONCLUSIVE
    assert every or declared in RANKINGS or "1 of 6 matching layers have no figure" in verdict.reason


@cache
def flips():
    """Spectra whose fits really flip, there and back; and the recorded finding, of 128 eigenvalues."""
    before, after = (np.linalg.svd(one.astype(float), compute_uv=False) ** 2 for one in flipping_pair())
    pairs = (before, after), (after, before)
    there, back = (alpha_change(fit_power_law(first), fit_power_law(second), second) for first, second in pairs)
    assert there.total * back.total < 0
    assert (there.tail_before, there.tail_after) == (back.tail_after, back.tail_before)
    return there, back, made_up(-36.64, -0.2, 12, 26)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_tail_that_flips_holds_with_the_caveat_and_fails_when_robust(which):
    change = flips()[which]
    assert abs(change.total) > 15
    assert change.tail_flip
    assert change.tail_before != change.tail_after
    comparator, bound = ("above", 15) if change.total > 0 else ("below", -15 * (1 + which // 2))
    one = replicate([layer(NAMES[0], change)], moved(0.1))
    declared = {"layer": NAMES[0], "comparator": comparator, "bound": bound}
    as_fitted = judge_structure(claim(**declared), one)
    assert as_fitted.status is Status.HOLDS
    assert Caveat.TAIL_FLIP in as_fitted.caveats
    assert (Caveat.FEW_EIGENVALUES in as_fitted.caveats) is (min(change.tail_before, change.tail_after) < 50)
    robust = judge_structure(claim(**declared, robust=True), one)
    assert robust.status is Status.FAILS
    assert abs(robust.figure) < 0.1 * abs(change.total)
    assert f"tail {change.tail_before} -> {change.tail_after}" in robust.reason
    assert judge_structure(claim(**declared, unless=["no_sham"]), one).status is Status.HOLDS
    strict = judge_structure(claim(**declared, unless=["tail_flip"]), one)
    assert strict.status is Status.FAILS
    assert "tail_flip, which the claim rules out" in strict.reason
