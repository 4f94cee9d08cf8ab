"""The mean of values within known limits, tested without any assumption about how they spread."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

STAKES = 64
"""How many stakes the bets are averaged over; any number keeps the level."""

Array = npt.NDArray[np.float64]


def p_value_of_mean(shares: Array, mean: float) -> float:
    """Test, two-sided, whether independent values in [0, 1] have a mean: by betting against it.

    Whoever puts the share g of the capital on each value x at odds that are fair if the mean is m, ends with the
    capital ``prod(1 - g + g x / m)``, whose expectation is 1. So is that of the average over stakes g, and by Markov's
    inequality it exceeds 1/p with a probability of at most p (Waudby-Smith and Ramdas, 'Estimating means of bounded
    random variables by betting', Journal of the Royal Statistical Society B 86 (2024), section 4). The stakes are even
    over [0, 1] and do not depend on the values, whose order is therefore no matter; 1 - x bets on the other side.
    """
    if not 0 < mean < 1:
        return 1.0 if mean in (0, 1) and np.all(shares == mean) else 0.0
    logarithm = max(_log_capital(shares, mean), _log_capital(1 - shares, 1 - mean))
    return min(1.0, 2 * math.exp(-logarithm))


def interval_of_mean(shares: Array, confidence: float) -> tuple[float, float]:
    """Tell between which ends the mean of values in [0, 1] lies: all means that the test does not reject."""
    needed = math.log(2 / (1 - confidence))
    return _low(shares, needed), 1 - _low(1 - shares, needed)


def _low(shares: Array, needed: float) -> float:
    """Find the mean below which the bet that it is larger wins what is needed; the less, the more it wins."""
    from scipy.optimize import brentq

    middle = float(np.mean(shares))
    nowhere = middle * 1e-12
    if not _log_capital(shares, nowhere) > needed:  # there is no positive value
        return 0.0
    return float(brentq(lambda mean: _log_capital(shares, mean) - needed, nowhere, middle, xtol=1e-15))


def _log_capital(shares: Array, mean: float) -> float:
    """Tell the logarithm of the capital that bets on more than a positive mean end with; minus infinity for none."""
    if mean <= 0:
        return -math.inf
    stakes, weights = _stakes()
    values, counts = np.unique(shares, return_counts=True)
    won = np.log1p(stakes[:, None] * (values / mean - 1)) @ counts
    return float(np.logaddexp.reduce(won + np.log(weights)))


@cache
def _stakes() -> tuple[Array, Array]:
    """Tell the stakes and their weights, by which even ones are integrated over."""
    stakes, weights = np.polynomial.legendre.leggauss(STAKES)
    return (1 + stakes) / 2, weights / 2
