"""Holding models against a policy: pure, from findings to a report of what was demanded and met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from stance_suite.judge.behavior.degeneration import is_no_language_model, signs_of_degeneration
from stance_suite.judge.compare.runs import compare_runs
from stance_suite.judge.structure.unexplained import unexplained_by_sham
from stance_suite.schema.comparison import EffectChange, Loss, PairedDifference
from stance_suite.schema.controls import BASE, Control, Part
from stance_suite.schema.findings import Agreement, Findings
from stance_suite.schema.metrics import CAVEAT_MEANINGS, Caveat, Metric
from stance_suite.schema.policy import SIGNS_OF_DEGENERATION, STANDARD, Consequence, Policy, standard_id
from stance_suite.schema.verdicts import Demand, GateReport, Outcome, Status, Verdict

ENOUGH_AGREEMENT = {"partial": (Agreement.PARTIAL, Agreement.ADOPTED), "adopted": (Agreement.ADOPTED,)}
CONSEQUENCES: dict[Consequence, Outcome] = {"fail": Outcome.FAILED, "warn": Outcome.WARNING, "ignore": Outcome.PASSED}
SHOWN_CHANGES = 3
"""Unexplained changes of weights that a reason names."""
Judged = tuple[Outcome, str]
"""What became of a demand, and why."""


@dataclass(frozen=True)
class GateTerms:
    """What the models of a run are held against."""

    policy: Policy
    """What is demanded."""
    policy_file: str
    """What its file is called."""
    baseline: Findings | None = None
    """An earlier run whose effects must not be lost; comparable with this one."""
    baseline_file: str | None = None
    """What its file is called."""
    baseline_sha256: str | None = None
    """Hash of that file."""


def judge_gate(findings: Findings, terms: GateTerms) -> GateReport:
    """Hold a run's models against a policy, and a baseline if there is one; what could not be judged is never met."""
    policy = terms.policy
    standard = [claim for claim in findings.claims if claim.id.startswith(f"{STANDARD}.")]
    # of a pair trained elsewhere, the stance's rivals have a preference only
    whole = (claim.stance for claim in standard if claim.id == standard_id(claim.stance, "divergence"))
    # both, so that findings whose policy was narrowed afterwards still answer for what was judged
    stances = tuple(dict.fromkeys([*policy.stances, *whole]))
    demands: list[Demand] = []
    for model in dict.fromkeys(claim.model for claim in standard):
        for stance in stances:
            demands += _of_stance(policy, findings, model, stance)
        demands += _degeneration(policy, findings, model)
        demands += _declared_claims(policy, findings, model)
    if terms.baseline is not None:
        demands += _regressions(policy, findings, terms.baseline)
    return GateReport(
        policy=terms.policy_file,
        demanded=policy.model_dump(mode="json"),
        baseline=terms.baseline_file,
        baseline_sha256=terms.baseline_sha256,
        demands=tuple(demands),
    )


def _of_stance(policy: Policy, findings: Findings, model: str, stance: str) -> Iterator[Demand]:
    of_model = {one.claim.id: one for one in reversed(findings.verdicts) if one.model == model}  # the first of equals
    standard = ("preference", "divergence", "structure")
    preference, divergence, structure = (of_model.get(standard_id(stance, what)) for what in standard)
    weights = _structure(policy, findings, structure)
    judged: tuple[tuple[str, Literal["adoption", "structure"], Verdict | None, Judged], ...] = (
        (f"adoption of {stance}", "adoption", preference, _adoption(policy, findings, preference)),
        (f"behavior moved by {stance}", "adoption", divergence, _must_hold(policy, divergence)),
        (f"no unexplained change of weights by {stance}", "structure", structure, weights),
    )
    for name, kind, verdict, (outcome, reason) in judged:
        claims = () if verdict is None else (verdict.claim.id,)
        yield Demand(name=name, kind=kind, model=model, outcome=outcome, reason=reason, claims=claims)


def _must_hold(policy: Policy, verdict: Verdict | None) -> Judged:
    if verdict is None:
        return Outcome.FAILED, "it was not judged"
    if verdict.claim.metric.is_behavioral and not _is_known(verdict):
        return Outcome.FAILED, f"not measured: {verdict.reason}"
    if verdict.status is Status.INCONCLUSIVE:
        return _inconclusive(policy, verdict)
    return Outcome.PASSED if verdict.status is Status.HOLDS else Outcome.FAILED, verdict.reason


def _inconclusive(policy: Policy, verdict: Verdict) -> Judged:
    """Apply the policy to weak evidence; where nothing was measured there is none, whatever the policy."""
    if verdict.claim.metric.is_behavioral and _is_known(verdict):
        return CONSEQUENCES[policy.inconclusive], f"inconclusive: {verdict.reason}"
    return Outcome.FAILED, f"not measured: {verdict.reason}"


def _is_known(verdict: Verdict) -> bool:
    """Whether all figures are there that a verdict must rest on."""
    figures = [verdict.figure, *(control.figure for control in verdict.controls)]
    return all(figure is not None and math.isfinite(figure) for figure in figures)


def _adoption(policy: Policy, findings: Findings, verdict: Verdict | None) -> Judged:
    outcome, reason = _must_hold(policy, verdict)
    if verdict is None or verdict.status is not Status.HOLDS or outcome is not Outcome.PASSED:
        return outcome, reason
    training = verdict.model, verdict.claim.stance, verdict.claim.recipe
    found = [one.agreement for one in findings.triangulations if (one.model, one.stance, one.recipe) == training]
    if not found:
        return Outcome.FAILED, f"{reason}; whether the measures agree is not known"
    short = [agreement for agreement in found if agreement not in ENOUGH_AGREEMENT[policy.adoption.agreement]]
    if short:
        return Outcome.FAILED, f"{reason}; but the measures together say {short[0]}"
    return Outcome.PASSED, f"{reason}; the measures together: {found[0]}"


def _structure(policy: Policy, findings: Findings, verdict: Verdict | None) -> Judged:
    outcome, reason = _alpha(policy, verdict)
    if verdict is None or verdict.status in (Status.NOT_RUN, Status.ERROR):
        return outcome, reason
    training = verdict.model, verdict.claim.stance, verdict.claim.recipe
    replicates = [
        replicate
        for seeds in findings.index.replicates()
        for replicate in seeds
        if (replicate.tuned.cell.model, replicate.tuned.cell.stance, replicate.tuned.cell.recipe) == training
    ]
    if not replicates:
        return Outcome.FAILED, "nothing was measured that an unexplained change could be seen in"
    times = policy.structure.change_over_sham
    found = [one for replicate in replicates for one in unexplained_by_sham(replicate, times)]
    if not found:
        return outcome, reason
    named = "; ".join(map(str, found[:SHOWN_CHANGES]))
    more = f" (and {len(found) - SHOWN_CHANGES} more)" if len(found) > SHOWN_CHANGES else ""
    told = f"over {times:g} times what controls show: {named}{more}"
    judged = CONSEQUENCES[policy.structure.unexplained]
    return (outcome if outcome is Outcome.FAILED else judged), f"{told}; of alpha {reason}"


def _alpha(policy: Policy, verdict: Verdict | None) -> Judged:
    if verdict is None:
        return Outcome.FAILED, "it was not judged"
    if verdict.status is Status.FAILS and _is_known(verdict):
        return Outcome.PASSED, f"none: {verdict.reason}"
    if verdict.status in (Status.NOT_RUN, Status.ERROR):
        return Outcome.FAILED, verdict.reason
    # of structure only what was not measured is inconclusive: it may hide what the policy asks about
    what = "" if verdict.status is Status.HOLDS else "cannot be excluded: "
    return CONSEQUENCES[policy.structure.unexplained], f"{what}{verdict.reason}"


def _degeneration(policy: Policy, findings: Findings, model: str) -> Iterator[Demand]:
    signs: dict[str, dict[str, str]] = {}
    bases = [record for record in findings.cells if record.cell.model == model and record.cell.is_base]
    for record in bases:
        if is_no_language_model(record.behavior.fluency):
            perplexity = f"perplexity {record.behavior.fluency.neutral_perplexity:.3g} on neutral text"
            signs[f"no language model ({perplexity})"] = {"before training": ""}
    judged = [one for one in findings.verdicts if one.status not in (Status.NOT_RUN, Status.ERROR)]
    own = [one for one in judged if one.model == model and one.claim.metric.is_behavioral]
    for verdict in own:
        for caveat in SIGNS_OF_DEGENERATION:
            if caveat in verdict.caveats:
                signs.setdefault(caveat, {}).setdefault(verdict.claim.stance, _figures(findings, verdict, caveat))
    if not own or not bases:
        outcome, reason = Outcome.FAILED, "nothing was measured that it could be seen in"
    elif signs:
        outcome = CONSEQUENCES[policy.degeneration]
        meanings = {str(caveat): f": {meaning}" for caveat, meaning in CAVEAT_MEANINGS.items()}
        reason = "; ".join(
            f"degeneration: {sign} ({', '.join(where)}){meanings.get(sign, '')}{''.join(where.values())}"
            for sign, where in signs.items()
        )
    else:
        outcome, reason = Outcome.PASSED, "it writes, and predicts neutral text, as before"
    yield Demand(name="no degeneration", kind="degeneration", model=model, outcome=outcome, reason=reason)


def _figures(findings: Findings, verdict: Verdict, caveat: Caveat) -> str:
    """Tell what a caveat of a verdict rests on, where the cells are there."""
    fluency = {record.key: record.behavior.fluency for record in findings.cells}
    for one in verdict.replicates:
        if one.tuned in fluency and one.base in fluency:
            signs = signs_of_degeneration(fluency[one.tuned], fluency[one.base]).get(caveat)
            if signs:
                return f"; {', '.join(signs)}"
    return ""


def _declared_claims(policy: Policy, findings: Findings, model: str) -> Iterator[Demand]:
    for verdict in findings.verdicts:
        claim = verdict.claim
        is_declared = not claim.id.startswith(f"{STANDARD}.") and verdict.model == model
        is_demanded = any(fnmatchcase(claim.id, pattern) for pattern in policy.claims)
        if not (is_declared and is_demanded) or verdict.status is Status.NOT_RUN:
            continue
        if verdict.status is Status.INCONCLUSIVE and not (verdict.as_expected and _is_known(verdict)):
            outcome, reason = _inconclusive(policy, verdict)
        elif verdict.as_expected:
            outcome, reason = Outcome.PASSED, f"{verdict.status}, as on record: {verdict.reason}"
        else:
            on_record = " or ".join(claim.expected)
            outcome, reason = Outcome.FAILED, f"{verdict.status}, on record is {on_record}: {verdict.reason}"
        yield Demand(name=claim.id, kind="claim", model=model, outcome=outcome, reason=reason, claims=(claim.id,))


def _regressions(policy: Policy, findings: Findings, baseline: Findings) -> Iterator[Demand]:
    """Compare effects with the baseline's: claims that held there, as they should, must be shown not to be lost."""
    comparison = compare_runs(baseline, findings, may_lose=policy.regression.share)
    holding = [one for one in baseline.verdicts if one.status is Status.HOLDS and Status.HOLDS in one.claim.expected]
    held = {(one.claim.id, one.model) for one in holding}
    now = {(one.claim.id, one.model): one for one in findings.verdicts}

    def demand(model: str, judged: Judged, before: str = "", after: str = "") -> Demand:
        name, claims = f"no regression: {before}" if before else "no regression", (after,) if after else ()
        return Demand(name=name, kind="baseline", model=model, outcome=judged[0], reason=judged[1], claims=claims)

    for change in comparison.changes:
        if (change.claim_id, change.model_before) not in held:
            continue
        pairs = [pair for pair in change.paired if pair.control in _faced(change.metric)]
        outcome, reason = _kept(policy, change, pairs, now[change.claim_id_after, change.model_after])
        shown = ", ".join(
            f"{pair.before:+.3g} to {pair.after:+.3g} against {pair.control}"
            + (f" ({pair.loss}, p = {pair.loss_p_value:.4f})" if pair.loss_p_value is not None else "")
            for pair in pairs
        )
        judged = outcome, f"{reason}: {shown}" if shown else reason
        yield demand(change.model_after, judged, change.claim_id, change.claim_id_after)
    for entry in comparison.only_before:
        if (entry.claim_id, entry.model) in held:
            reason = f"it held in the baseline and was not judged now: {entry.reason}"
            yield demand(entry.model, (Outcome.FAILED, reason), entry.claim_id, entry.claim_id)
    if not held:
        reason = "no claim held in the baseline: nothing can be lost, and nothing is shown"
        model = findings.claims[0].model if findings.claims else ""
        yield demand(model, (CONSEQUENCES[policy.inconclusive], reason))


def _faced(metric: Metric) -> tuple[Control, ...]:
    """List the controls of a gate's trainings that a claim is judged against, the baseline first."""
    return (BASE, *(one for one in Control.trained() if one.required and one.part(metric) is Part.FACED))


def _kept(policy: Policy, change: EffectChange, pairs: Sequence[PairedDifference], now: Verdict) -> Judged:
    found, share = {pair.loss for pair in pairs}, f"{100 * policy.regression.share:g} % of the effect"
    if now.status is Status.NOT_RUN:
        return Outcome.FAILED, "it was not run, so nothing shows that it is still there"
    if Loss.LOST in found:
        return Outcome.FAILED, f"lost: over {share}, now {now.status}"
    if now.status in (Status.FAILS, Status.ERROR):
        return Outcome.FAILED, f"lost: now {now.status}: {now.reason}"
    if not change.metric.is_behavioral:
        if now.status is Status.HOLDS and _is_known(now):
            return Outcome.PASSED, "it still holds"
        return Outcome.FAILED, f"not measured: {now.reason}"
    if not _is_known(now) or len(pairs) < len(_faced(change.metric)):
        return Outcome.FAILED, f"not measured: {change.reason or now.reason}"
    is_kept = now.status is Status.HOLDS if not now.claim.claims_change else found == {Loss.KEPT}
    if not is_kept:
        return CONSEQUENCES[policy.inconclusive], f"a loss of over {share} cannot be excluded, now {now.status}"
    return Outcome.PASSED, f"kept: a loss of over {share} is excluded, now {now.status}"
