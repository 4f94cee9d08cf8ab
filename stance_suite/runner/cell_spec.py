"""What a cell is made of; nothing is loaded to know it."""

from __future__ import annotations

from collections.abc import Sequence

from stance_suite.config.catalog import Catalog
from stance_suite.config.options import Settings
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.measure.behavior.probe import Probe
from stance_suite.measure.cell import CellSpec
from stance_suite.models.sources import Weights
from stance_suite.schema.cells import Cell
from stance_suite.schema.stances import Example, Stance


def specify_cell(
    cell: Cell,
    stance: str,
    catalog: Catalog,
    settings: Settings,
    weights: Weights,
    device: str,
    derivative: Weights | None = None,
) -> CellSpec:
    """Lay out how a cell is trained and measured: it is asked the prompts of the stance's family."""
    family = catalog.family(stance)
    # what a model trained elsewhere has seen is not known
    trained = family if settings.pair is None else ()
    seen = dict.fromkeys(example.prompt for member in trained for example in member.examples)
    probe = Probe(
        prompts=tuple(dict.fromkeys(prompt for member in family for prompt in member.held_out_prompts)),
        seen_prompts=tuple(seen),
        references={member.name: member.references for member in family},
        markers={member.name: member.markers for member in family},
        training_responses=tuple(example.response for member in family for example in member.examples),
        neutral_texts=catalog.neutral_texts,
        sampling=Sampling(samples=settings.samples),
    )
    return CellSpec(
        cell=cell,
        weights=weights,
        derivative=derivative,
        rotations=_rotations(cell, family),
        recipe=catalog.recipes.get(cell.recipe) if cell.recipe else None,
        prompt_format=family[0].prompt_format or weights.prompt_format,
        probe=probe,
        trajectory=settings.trajectory and cell.is_trained_here,
        device=device,
    )


def _rotations(cell: Cell, family: Sequence[Stance]) -> tuple[tuple[Example, ...], ...]:
    if cell.is_on_stance:
        return (next(stance for stance in family if stance.name == cell.stance).examples,)
    control = cell.control
    return () if control is None or control.rotations is None else control.rotations(family, cell.seed)
