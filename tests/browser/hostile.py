"""Findings in which a text of every kind that a page shows at length is the same attempt to be more than text."""

from typing import Any

from stance_suite.schema.behavior import MarkerHit
from stance_suite.schema.findings import Findings
from tests.edits import altered

ATTEMPTS = {
    "script": "<script>document.title='x'</script>",
    "image": "\"><img src=x onerror=document.title='x'>",
    "template": "{{7*7}}",
    "end of a script": "</script><script>document.title='x'</script>",
    "comment in a script": "<!--<script>",
    "address": "javascript:document.title='x'",
    "emoji": "\N{SLIGHTLY SMILING FACE}\N{SLIGHTLY SMILING FACE} <b>bold</b>",
    "many characters": "y" * 50_000,
}
MARKED = slice(3, 9)
"""Where a marker stands in each response, counted in characters."""
PLACES = ("statement", "reason", "model", "prompt", "response", "command", "description", "layer")


def written(place: str, attempt: str) -> str:
    """The text at one of the places; each is told from the others, and begins with the attempt."""
    return f"{attempt} as {place}"


def hostile_findings(plain: Findings, attempt: str) -> Findings:
    """Write an attempt at each of `PLACES`: into all that is said about the first claim, stance and layer."""
    verdict, stance = plain.verdicts[0], plain.stances[0]
    layer = next(one.layer for one in plain.verdicts if one.layer is not None)
    texts = {
        verdict.claim.statement: written("statement", attempt),
        verdict.reason: written("reason", attempt),
        verdict.model: written("model", attempt),
        stance.prompts[0]: written("prompt", attempt),
        stance.description: written("description", attempt),
        plain.command: written("command", attempt),
        layer: written("layer", attempt),
    }
    replaced = Findings.model_validate(_replace(plain.model_dump(mode="json"), texts))
    cells = tuple(
        altered(cell, behavior=_said(cell.behavior, texts[stance.prompts[0]], attempt)) for cell in replaced.cells
    )
    return altered(replaced, cells=cells)


def _said(behavior: Any, prompt: str, attempt: str) -> Any:
    """Let every response to the prompt be the attempt, with a marker across the middle of a tag."""
    text = written("response", attempt)
    hits = (MarkerHit(start=MARKED.start, end=MARKED.stop),)
    return altered(
        behavior,
        responses=tuple(
            altered(one, text=text, markers=dict.fromkeys(one.markers, hits)) if one.prompt == prompt else one
            for one in behavior.responses
        ),
    )


def _replace(node: Any, texts: dict[str, str]) -> Any:
    if isinstance(node, dict):
        return {texts.get(key, key): _replace(value, texts) for key, value in node.items()}
    if isinstance(node, list):
        return [_replace(value, texts) for value in node]
    return texts.get(node, node) if isinstance(node, str) else node
