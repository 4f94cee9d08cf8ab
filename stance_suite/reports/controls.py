"""What a verdict lists as controls, told apart: what the claim was tested against, and what controls did themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stance_suite.judgments import ControlFigure, Verdict

RESAMPLED = "base resampled"
TESTED_AGAINST = ("base", "sham", "noise", "rounding")
OVER_BASE = " - base"
"""How the name of a control's own effect on behavior ends."""
MOST_CHANGED_UNDER = ("sham: ", "noise: ", "rounding: ")
"""How the name of the layer that changed most under a control begins, where layers are compared."""


def effects_tested(verdict: Verdict) -> tuple[ControlFigure, ...]:
    """Pick the effects of the training against its controls.

    Parameters
    ----------
    verdict : Verdict
        On a claim about behavior.

    Returns
    -------
    tuple of ControlFigure
        The baseline first.
    """
    return tuple(control for control in verdict.controls if control.name in _tested_names(verdict))


def noise_floor(verdict: Verdict) -> ControlFigure | None:
    """Find what a control did that only drew again, or added noise.

    Parameters
    ----------
    verdict : Verdict
        On a claim about behavior.

    Returns
    -------
    ControlFigure or None
        None where no floor is known.
    """
    if verdict.claim.versus is not None:
        return None
    floors = [RESAMPLED, f"{RESAMPLED}{OVER_BASE}", f"noise{OVER_BASE}"]
    own = {control.name: control for control in own_effects(verdict)}
    return next((own[name] for name in floors if name in own), None)


def own_effects(verdict: Verdict) -> tuple[ControlFigure, ...]:
    """Pick what the controls did themselves.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    tuple of ControlFigure
        Of structure the claim's own figure under each control, of a comparison the same comparison. Empty of a
        comparison of behavior: what it lists are the effects compared.
    """
    claim = verdict.claim
    if claim.comparator.compares_layers:
        return tuple(control for control in verdict.controls if control.name.startswith(MOST_CHANGED_UNDER))
    if not claim.metric.is_behavioral:
        return verdict.controls
    if claim.versus is not None:
        return ()
    tested = _tested_names(verdict)
    return tuple(
        control
        for control in verdict.controls
        if control.name.endswith(OVER_BASE) or (control.name == RESAMPLED and RESAMPLED not in tested)
    )


def control_range(verdict: Verdict) -> tuple[float, float] | None:
    """Span what the controls did, their intervals included.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    (float, float) or None
        In the unit of the verdict's figure; None where nothing is known of it.
    """
    ends = [end for control in own_effects(verdict) for end in _ends(control)]
    return (min(ends), max(ends)) if ends else None


def drawn_bounds(verdict: Verdict) -> tuple[float, ...]:
    """Find where a claim's bounds lie on the scale of its figure.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    tuple of float
        Two of a range and of a magnitude, none where layers are compared.
    """
    bound = verdict.claim.bound
    if bound is None:
        return ()
    if isinstance(bound, tuple):
        return bound
    return (-bound, bound) if verdict.claim.comparator in ("within", "beyond") else (bound,)


def _tested_names(verdict: Verdict) -> tuple[str, ...]:
    """Without a sham, the base model sampled again is what the claim was tested against."""
    has_sham = any(control.name == "sham" for control in verdict.controls)
    return TESTED_AGAINST if has_sham else (*TESTED_AGAINST, RESAMPLED)


def _ends(control: ControlFigure) -> Iterator[float]:
    for end in (control.figure, control.low, control.high):
        if end is not None and math.isfinite(end):
            yield end
