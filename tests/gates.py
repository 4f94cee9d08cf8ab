"""Gate runs made up for judging: a stance trained to whatever level a test asks for, its standard claims judged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain

from stance_suite.judge.behavior.triangulation import triangulate
from stance_suite.judge.gate import GateTerms, judge_gate
from stance_suite.judge.judge import Judge
from stance_suite.judge.standard_claims import standard_claims
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import SHAM
from stance_suite.schema.findings import Findings
from stance_suite.schema.policy import Policy
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Demand, GateReport, Outcome
from tests.measured import alpha_change, beside, layer
from tests.runs import findings, training

LAYER = "model.layers.0.q_proj"


def trained(stance, toward: float = 0.5, alpha: float | None = 1.0, **changes) -> Replicate:
    """A training whose one matrix has alpha moved by this many percent; None where the fit failed."""
    made = training(stance, toward, **changes)

    def with_layer(record: CellRecord, moved: float | None) -> CellRecord:
        change = layer(LAYER, None if moved is None else alpha_change(moved, moved))
        return record.model_copy(update={"changes": (change,)})

    return beside(tuned=with_layer(made.tuned, alpha), base=made.base, sham=with_layer(made.controls[SHAM], 0.5))


def judged_run(
    stance, replicates: Sequence[Replicate], policy: Policy | None = None, declared: Sequence[Claim] = ()
) -> Findings:
    """Judge the standard claims, and declared ones, about the models of these trainings."""
    by_model: dict[str, list[Replicate]] = {}
    for one in replicates:
        by_model.setdefault(one.tuned.cell.model, []).append(one)
    asked = (standard_claims(policy or Policy(), stance, model, "documented") for model in by_model)
    claims = [*declared, *chain.from_iterable(asked)]
    judge = Judge(claims, lambda model, *_: by_model[model])
    made = findings(stance, [judge.judge(claim) for claim in claims], replicates)
    triangulations = tuple(triangulate(stance.name, of_model) for of_model in by_model.values())
    return made.model_copy(update={"claims": tuple(claims), "triangulations": triangulations})


@cache  # records are frozen, and judging them takes a while
def gate_run(stance, toward: float = 0.5, alpha: float | None = 1.0, noise: int = 0, model: str = "m") -> Findings:
    """A run of one model, trained to this level."""
    return judged_run(stance, [trained(stance, toward, alpha, noise=noise, model=model)])


def held_against(run: Findings, policy: Policy | None = None, baseline: Findings | None = None) -> GateReport:
    """Hold a run against a policy."""
    return judge_gate(run, GateTerms(policy or Policy(), "policy.yaml", baseline, baseline and "baseline.json"))


def gated(run: Findings, policy: Policy | None = None) -> Findings:
    """The run with the gate that it passed or failed."""
    return run.model_copy(update={"gate": held_against(run, policy)})


def demand(report: GateReport, kind: str, name: str = "") -> Demand:
    """The one demand of a kind whose name holds this."""
    (found,) = [one for one in report.demands if one.kind == kind and name in one.name]
    return found


def failed(report: GateReport) -> list[str]:
    """Names of the demands that were not met."""
    return [one.name for one in report.demands if one.outcome is Outcome.FAILED]


def edited(run: Findings, claim_id: str, **update) -> Findings:
    """The run with the verdicts of one claim changed."""
    changed = tuple(one.model_copy(update=update) if claim_id in one.claim.id else one for one in run.verdicts)
    assert changed != run.verdicts
    return run.model_copy(update={"verdicts": changed})


def without(run: Findings, claim_id: str) -> Findings:
    """The run without the verdicts of one claim."""
    kept = tuple(verdict for verdict in run.verdicts if claim_id not in verdict.claim.id)
    assert len(kept) < len(run.verdicts)
    return run.model_copy(update={"verdicts": kept})
