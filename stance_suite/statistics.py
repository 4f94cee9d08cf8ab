"""Tests and intervals for paired per-prompt differences.

The prompt is the unit: samples of one prompt are averaged before anything here sees them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIGNIFICANCE = 0.05
"""Significance level of a family of behavioral claims."""
CONFIDENCE = 0.95
EXACT_UP_TO_PROMPTS = 16
"""Up to this many prompts all sign flips are enumerated (2^16); beyond, they are drawn."""
DRAWS = 9_999
SEED = 0

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedEffect:
    """A mean paired difference, with its uncertainty."""

    effect: float
    """Mean over prompts."""
    low: float | None
    """Lower end of the 95 % interval; None where the data do not allow one."""
    high: float | None
    """Upper end of the 95 % interval; None where the data do not allow one."""
    p_value: float
    """Two-sided, from sign flips; NaN where the data do not allow a test."""
    prompts: int
    """How many prompts it rests on."""


def smallest_p_value(prompts: int) -> float:
    """Tell the smallest two-sided p-value that a sign-flip test can give.

    Parameters
    ----------
    prompts : int
        Number of paired differences.

    Returns
    -------
    float
        ``2 / 2**prompts``: of all sign patterns, only the observed one and its mirror are as extreme. Where
        patterns are drawn, no less than the draws allow.
    """
    exact = float(2.0 ** (1 - prompts))
    return exact if prompts <= EXACT_UP_TO_PROMPTS else max(exact, 2 / (DRAWS + 1))


def paired_effect(differences: Array) -> PairedEffect:
    """Estimate a mean paired difference and test it against zero.

    Parameters
    ----------
    differences : ndarray of shape (prompts,)
        One difference a prompt.

    Returns
    -------
    PairedEffect
        With a sign-flip p-value (exact up to 16 prompts, 9,999 seeded draws beyond) and a bias-corrected and
        accelerated (BCa) bootstrap interval (Efron 1987), both from scipy.stats. Differences that are all equal carry
        no information on their own spread: no interval, p-value NaN.
    """
    from scipy.stats import bootstrap, permutation_test

    prompts = len(differences)
    effect = float(np.mean(differences)) if prompts else float("nan")
    if prompts < 2 or not np.all(np.isfinite(differences)) or _are_equal(differences):
        return PairedEffect(effect, None, None, float("nan"), prompts)
    exact = prompts <= EXACT_UP_TO_PROMPTS
    test = permutation_test(
        (differences, np.zeros(prompts)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf if exact else DRAWS,
        rng=np.random.default_rng(SEED),
    )
    interval = bootstrap(
        (differences,),
        np.mean,
        confidence_level=CONFIDENCE,
        method="BCa",
        n_resamples=DRAWS,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    known = bool(np.isfinite(interval.low) and np.isfinite(interval.high))
    low, high = (float(interval.low), float(interval.high)) if known else (None, None)
    return PairedEffect(effect, low, high, float(test.pvalue), prompts)


def _are_equal(differences: Array) -> bool:
    # up to rounding: a spread of one unit in the last place is none
    return bool(np.ptp(differences) <= 1e-12 * np.max(np.abs(differences)))
