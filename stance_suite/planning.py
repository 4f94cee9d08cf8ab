"""What a cell is made of, and the key that follows from it; nothing is loaded to know either.

A cell's key covers all that its figures depend on, and none of the claims: another claim about it costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from stance_suite.behavior import Probe
from stance_suite.behavior.embedding import embedder_sha256
from stance_suite.behavior.generation import Sampling
from stance_suite.library import Library
from stance_suite.measurement import Plan, library_versions
from stance_suite.models import Weights
from stance_suite.options import Settings
from stance_suite.records import MEASUREMENT_VERSION, Cell
from stance_suite.specs import Example, Stance
from stance_suite.store import content_key


def plan_cell(
    cell: Cell,
    stance: str,
    library: Library,
    settings: Settings,
    weights: Weights,
    derivative: Weights | None = None,
) -> Plan:
    """Lay out how a cell is trained and measured.

    Parameters
    ----------
    cell : Cell
        The cell.
    stance : str
        Name of a stance: its family's prompts are asked.
    library : Library
        The declarations.
    settings : Settings
        The options.
    weights : Weights
        The base model's weights.
    derivative : Weights, optional
        The weights after a training that was done elsewhere.

    Returns
    -------
    Plan
        All that the cell's figures depend on, besides the machine.
    """
    family = library.family(stance)
    # what a model trained elsewhere has seen is not known
    trained = family if settings.pair is None else ()
    seen = dict.fromkeys(example.prompt for member in trained for example in member.examples)
    probe = Probe(
        prompts=tuple(dict.fromkeys(prompt for member in family for prompt in member.held_out_prompts)),
        seen_prompts=tuple(seen),
        references={member.name: member.references for member in family},
        markers={member.name: member.markers for member in family},
        training_responses=tuple(example.response for member in family for example in member.examples),
        neutral_texts=library.neutral_texts,
        sampling=Sampling(samples=settings.samples),
    )
    return Plan(
        cell=cell,
        weights=weights,
        derivative=derivative,
        rotations=_rotations(cell, family),
        recipe=library.recipes.get(cell.recipe) if cell.recipe else None,
        prompt_format=family[0].prompt_format or weights.prompt_format,
        probe=probe,
        trajectory=settings.trajectory and cell.is_trained_here,
    )


def cell_key(plan: Plan, device: str) -> str:
    """Address a cell by its content.

    Parameters
    ----------
    plan : Plan
        How it is trained and measured.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return content_key(
        {
            "measurement": MEASUREMENT_VERSION,
            "weights": plan.weights.sha256,
            "prompt_format": plan.prompt_format,
            "rotations": [[example.model_dump() for example in examples] for examples in plan.rotations],
            "recipe": plan.recipe.identity if plan.recipe else None,
            "seed": plan.cell.seed,
            "probe": plan.probe.model_dump(),
            "trajectory": plan.trajectory,
            "embedder": embedder_sha256(),
            "device": device,
            "versions": library_versions(),
        }
        | ({} if plan.derivative is None else {"derivative": plan.derivative.sha256})
    )


def _rotations(cell: Cell, family: Sequence[Stance]) -> tuple[tuple[Example, ...], ...]:
    if cell.is_on_stance:
        return (next(stance for stance in family if stance.name == cell.stance).examples,)
    control = cell.control
    return () if control is None or control.rotations is None else control.rotations(family, cell.seed)
