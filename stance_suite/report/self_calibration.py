"""How often claims hold of trainings without the stance, in a sentence."""

from __future__ import annotations

from stance_suite.schema.findings import Findings


def nulls_in_words(findings: Findings) -> str:
    """Tell how many claims hold of controls that were judged as if they were trainings; empty if none was trained."""
    if not any(record.cell.is_on_stance for record in findings.cells):
        return ""
    if not findings.nulls:
        return "No training without a stance was judged as if it had one: that takes controls of several seeds."
    models = {one.model for one in findings.nulls}
    shown = (
        f"{len(one.held)} of {one.judged} HOLDS for {one.control}" + (f" on {one.model}" if len(models) > 1 else "")
        for one in findings.nulls
    )
    return f"Trainings without a stance, judged by the same claims as if they had it: {', '.join(shown)}."
