"""What a verdict lists as controls, told apart: what the claim was tested against, and what controls did themselves."""

from __future__ import annotations

from stance_suite.report.format import finite
from stance_suite.schema.controls import Role
from stance_suite.schema.verdicts import ControlFigure, Verdict


def effects_over_controls(verdict: Verdict) -> tuple[ControlFigure, ...]:
    """Pick the effects of the training against its controls, the baseline first."""
    return tuple(control for control in verdict.controls if control.role is Role.EFFECT)


def noise_floor(verdict: Verdict) -> ControlFigure | None:
    """Find what a control did that only drew again, or added noise; None where no floor of behavior is known."""
    listed = own_effects(verdict) if verdict.claim.metric.is_behavioral else ()
    behaviors = ((one, None if one.control is None else one.control.behavior) for one in listed)
    return next((one for one, behavior in behaviors if behavior is not None and behavior.is_noise), None)


def own_effects(verdict: Verdict) -> tuple[ControlFigure, ...]:
    """Pick what the controls did themselves; of a comparison of behavior nothing: it lists the effects compared."""
    if verdict.claim.metric.is_behavioral and verdict.claim.versus is not None:
        return ()
    own = (Role.OWN_EFFECT, Role.OWN_FIGURE, Role.MOST_CHANGED)
    return tuple(control for control in verdict.controls if control.role in own)


def control_range(verdict: Verdict) -> tuple[float, float] | None:
    """Span what the controls did, their intervals included; None where nothing is known of it."""
    ends = [end for one in own_effects(verdict) for end in finite((one.figure, one.low, one.high))]
    return (min(ends), max(ends)) if ends else None


def drawn_bounds(verdict: Verdict) -> tuple[float, ...]:
    """Find where a claim's bounds lie on the scale of its figure: two of a range and of a magnitude."""
    bound = verdict.claim.bound
    if bound is None or isinstance(bound, tuple):
        return bound or ()
    return (-bound, bound) if verdict.claim.comparator in ("within", "beyond") else (bound,)
