"""A pair of matrices whose spectra are nearly the same and whose fitted tails are not."""

from __future__ import annotations

import numpy as np

from stance_suite.spectra.power_law import alpha_change, fit_power_law


def flipping_pair() -> tuple[np.ndarray, np.ndarray]:
    """Join two power laws and push until the best tail moves from one to the other; float32, (85, 85)."""
    generator = np.random.default_rng(5)
    left, right = (np.linalg.qr(generator.standard_normal((85, 85)))[0] for _ in range(2))
    for _ in range(300):
        before = np.sort(np.concatenate([generator.pareto(1.5, 60) + 1, 4 * (generator.pareto(6.0, 25) + 1)]))
        after = before * (1 + 1e-3 * generator.standard_normal(85))
        pair = [((left * np.sqrt(values)) @ right).astype(np.float32) for values in (before, after)]
        first, second = (np.linalg.svd(one.astype(float), compute_uv=False) ** 2 for one in pair)
        change = alpha_change(fit_power_law(first), fit_power_law(second), second)
        if abs(change.total) > 20 and change.tail_flip:
            return pair[0], pair[1]
    raise AssertionError("no nearly tied spectrum was drawn")
