"""Does a family of behavioral claims keep its level, and has it the power that was promised?"""

import numpy as np
import pytest
from scipy.stats import binomtest, skew, t

from stance_suite.judge.behavior.evidence import gather_evidence
from stance_suite.judge.behavior.verdict import judge_behavior
from stance_suite.judge.power import Design, Spread, detectable_effect, typical_spreads
from stance_suite.judge.statistics import SIGNIFICANCE, holm
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import Status
from tests.measured import behavior, beside, record
from tests.runs import behavioral

DATA_SETS = 500
DESIGN = Design(prompts=32, samples=2, seeds=1, family=12)  # three stances, four measures
SPREAD = Spread(prompts=1.0, samples=1.5, seeds=0.0)
DECLARED_FAMILY = 36  # with divergences, and of three recipes
DOUBT = 0.01
"""A rate counts as wrong if chance would make it so less often than this."""


def p_values_beyond(contrasts: np.ndarray, bound: float = 0.0) -> np.ndarray:
    """P-values of many contrasts at once; shape (..., prompts). 1 where the mean is short of the bound."""
    count, root = contrasts.shape[-1], contrasts.shape[-1] ** 0.5
    distance = (contrasts.mean(axis=-1) - bound) / (contrasts.std(axis=-1, ddof=1) / root)
    skewness = skew(contrasts, axis=-1, bias=False)
    corrected = root / skewness * ((1 + skewness * distance / (3 * root)) ** 3 - 1) + skewness / (6 * root)
    nearer = np.minimum(distance, corrected)
    return np.where(nearer > 0, 2 * t.sf(nearer, count - 1), 1.0)


def which_hold(contrasts: np.ndarray) -> np.ndarray:
    """Tell which claims of a family hold; contrasts (family, 2, prompts) are tuned - base and tuned - sham."""
    return np.array(holm(np.max(p_values_beyond(contrasts), axis=1))) <= SIGNIFICANCE


def judged(stance, arms: tuple[np.ndarray, ...]) -> list[bool]:
    """Ask the real judge about the same scores, claim by claim: every row of the arms is a claim about likelihood."""
    evidence = []
    for scores in zip(*arms, strict=True):
        arms = zip(("stance", "base", "sham"), scores, strict=True)
        cells = (record(treatment, said=said(stance, one)) for treatment, one in arms)
        evidence.append(gather_evidence(behavioral(stance, bound=0), [beside(*cells)]))
    adjusted = holm([one.p_value for one in evidence])
    verdicts = [judge_behavior(one, p_value, 1.0) for one, p_value in zip(evidence, adjusted, strict=True)]
    return [verdict.status is Status.HOLDS for verdict in verdicts]


def said(stance, scores: np.ndarray):
    others = dict.fromkeys(stance.contrasts, 0.0)
    by_prompt = zip(stance.prompts, scores, strict=True)
    return behavior({prompt: {stance.name: score, **others} for prompt, score in by_prompt})


def contrasts_of(tuned: np.ndarray, base: np.ndarray, sham: np.ndarray) -> np.ndarray:
    return np.stack([tuned - base, tuned - sham], axis=1)


def arms(draw, rng) -> tuple[np.ndarray, ...]:
    """Three arms of prompt scores (family, prompts) that differ by nothing but chance, of one distribution."""
    of_prompts = draw(rng, (3, DESIGN.family, DESIGN.prompts)) * SPREAD.prompts / 2**0.5
    of_samples = draw(rng, (3, DESIGN.family, DESIGN.prompts, DESIGN.samples)) * SPREAD.samples
    difficulty = 3 * draw(rng, DESIGN.prompts)
    return tuple(difficulty + of_prompts + of_samples.mean(axis=-1))


def normal(rng, shape):
    return rng.normal(0, 1, shape)


def skewed(rng, shape):
    return rng.exponential(1, shape)


def nothing_moves(rng):
    return contrasts_of(*arms(skewed, rng))


def the_sham_moves_as_much(rng):
    # the hardest null: the comparison with base is won, and only that with the sham guards the claim
    tuned, base, sham = arms(skewed, rng)
    return contrasts_of(tuned, base - 10, sham)


@pytest.mark.parametrize("null", [nothing_moves, the_sham_moves_as_much])
def test_the_chance_of_any_false_claim_in_a_family_keeps_to_the_level(null):
    rng = np.random.default_rng(0)
    false_claims = sum(bool(np.any(which_hold(null(rng)))) for _ in range(DATA_SETS))
    print(f"family-wise rate where {null.__name__}: {false_claims / DATA_SETS:.1%}")
    assert binomtest(false_claims, DATA_SETS, SIGNIFICANCE, alternative="greater").pvalue > DOUBT


def test_a_claim_holds_as_often_as_promised_at_the_detectable_effect():
    wanted = 0.8
    effect = detectable_effect(DESIGN, SPREAD, bound=0.0, wanted=wanted)
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(DATA_SETS):
        tuned, base, sham = arms(normal, rng)
        tuned[0] += effect  # one true claim in a family of nulls
        found += bool(which_hold(contrasts_of(tuned, base, sham))[0])
    print(f"power at a true effect of {effect:.2f}: {found / DATA_SETS:.1%}")
    assert binomtest(found, DATA_SETS, wanted, alternative="less").pvalue > DOUBT


def test_the_declared_claims_can_find_their_minimum_effects(library):
    """Arms drawn sample by sample with typical spreads; the rest of the family is null, and helps no claim."""
    claims = (declared.claim for declared in library.claims if declared.claim.minimum_effect is not None)
    promised = {(claim.metric, claim.bound, claim.minimum_effect) for claim in claims}
    assert {metric for metric, _, _ in promised} == set(Metric.triangulated())
    rng, runs = np.random.default_rng(4), 500
    for metric, bound, effect in promised:
        spread = typical_spreads()[metric]
        shape = (3, runs, DESIGN.prompts)
        of_seeds = rng.normal(0, spread.seeds / 2**0.5, (3, runs, 1))
        of_samples = rng.normal(0, spread.samples, (*shape, DESIGN.samples)).mean(axis=-1)
        tuned, base, sham = of_seeds + rng.normal(0, spread.prompts / 2**0.5, shape) + of_samples
        contrasts = np.stack([tuned + effect - base, tuned + effect - sham])
        p_values = p_values_beyond(contrasts, bound).max(axis=0)
        others = rng.random((runs, DECLARED_FAMILY - 1))
        adjusted = np.array([holm([p, *rest])[0] for p, rest in zip(p_values, others, strict=True)])
        found = int(np.sum(adjusted <= SIGNIFICANCE))
        print(f"{metric}, true effect {effect:g} beyond a bound of {bound:g}: found in {found / runs:.1%}")
        assert binomtest(found, runs, 0.8, alternative="less").pvalue > DOUBT


def test_the_calibration_rules_as_the_judge_does(stance):
    rng = np.random.default_rng(3)
    for effect in (0.0, 1.5, 4.0):
        tuned, base, sham = arms(normal, rng)
        moved = tuned + effect * np.arange(DESIGN.family)[:, None] / DESIGN.family, base, sham
        # the judge asks more: it must be specific, which these are
        expected = which_hold(contrasts_of(*moved)).tolist()
        assert judged(stance, moved) == expected
    assert 0 < sum(expected) < DESIGN.family
