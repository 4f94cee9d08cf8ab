"""The heat maps of layers: a model's matrices in rows and columns, and what each training did to them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from stance_suite.report.page.spectra import explain_tail, layer_change, layer_spectrum, shorten
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_names import CONTAINERS, Role, block, role
from stance_suite.schema.replicates import CellIndex
from stance_suite.schema.spectra import LayerChange, LayerSpectrum

_IN_BLOCK = re.compile(rf"(?:^|(?<=\.))({'|'.join(sorted(CONTAINERS))})\.\d+\.")
_ROLES = list(Role)
_Named = TypeVar("_Named", LayerChange, LayerSpectrum)


@dataclass(frozen=True)
class LargestChange:
    """The matrix whose fitted alpha changed most in one training."""

    record: CellRecord
    """The trained cell."""
    layer: LayerChange
    """The matrix, and what became of its alpha."""
    reason: str | None
    """Why the tail is another one, if it is."""
    anchor: str
    """Where the page shows the layer's spectra."""


@dataclass(frozen=True)
class Structure:
    """What the section on structure shows."""

    maps: list[dict[str, Any]]
    """One entry a model, for the heat maps; plain data for JSON."""
    spectra: list[dict[str, Any]]
    """One entry a model, aligned with `maps`: what is shown of one layer at a time."""
    largest: tuple[LargestChange, ...]
    """One entry a training."""
    anchors: Mapping[tuple[str, str], str]
    """Where the page shows a matrix's spectra, by the trained cell's key and the matrix's long name."""

    @property
    def reason(self) -> str | None:
        """Why the tail is another one where alpha changed most of all, if it is."""
        most = max(self.largest, key=lambda one: _largest_total(one.record))
        return None if most.reason is None else f"{most.layer.name}, {most.record.cell.label}: {most.reason}"


def describe_structure(findings: Findings) -> Structure:
    """Arrange what the section on structure shows; empty if nothing was trained."""
    trained: dict[str, list[CellRecord]] = {}
    for record in findings.cells:
        if record.changes:
            trained.setdefault(record.cell.model, []).append(record)
    models = []
    for name, records in trained.items():
        base = findings.index.untouched(records[0])
        before = {} if base is None else _by_name(base.spectra)
        models.append(_Model(name, before, sorted(records, key=_place_in_model), findings.index))
    return Structure(
        maps=[_map(model) for model in models],
        spectra=[_spectra(model) for model in models],
        largest=tuple(one for place, model in enumerate(models) for one in _largest_changes(place, model)),
        anchors={
            (record.key, layer): _anchor(place, number, index)
            for place, model in enumerate(models)
            for number, record in enumerate(model.trained)
            for index, layer in enumerate(model.layers)
        },
    )


@dataclass(frozen=True)
class _Model:
    """A model and its trainings."""

    name: str
    """Name of the model."""
    before: Mapping[str, LayerSpectrum]
    """Spectra of the untouched model by the matrix's long name."""
    trained: Sequence[CellRecord]
    """Every trained cell."""
    index: CellIndex
    """Which cells of the run belong together."""

    @cached_property
    def layers(self) -> list[str]:
        """Long names of its matrices; figures of all trainings are aligned with it."""
        changed = (change.name for record in self.trained for change in record.changes)
        return list(dict.fromkeys([*self.before, *changed]))


def _place_in_model(record: CellRecord) -> tuple[str, int, bool, str]:
    """Order trainings: what can be compared is together, stances always in the same order, controls last."""
    return _recipe(record), record.cell.seed, not record.cell.is_under_test, record.cell.stance or ""


def _by_name(layers: Iterable[_Named]) -> dict[str, _Named]:
    return {layer.name: layer for layer in layers}


def _map(model: _Model) -> dict[str, Any]:
    most = max(model.trained, key=lambda record: (record.cell.is_under_test, _largest_total(record)))
    return {
        "name": model.name,
        "layers": model.layers,
        **_grid(model.layers),
        "trainings": [_training(record, model) for record in model.trained],
        "shown": {"recipe": _recipe(most), "seed": most.cell.seed},
    }


def _spectra(model: _Model) -> dict[str, Any]:
    layers, before = model.layers, model.before
    trainings = []
    for record in model.trained:
        after, changes = _by_name(record.spectra), _by_name(record.changes)
        of_layers = [layer_change(changes.get(name), before.get(name), after.get(name)) for name in layers]
        trainings.append({"after": [layer_spectrum(after.get(name)) for name in layers], "changes": of_layers})
    return {"before": [layer_spectrum(before.get(name)) for name in layers], "trainings": trainings}


def _training(record: CellRecord, model: _Model) -> dict[str, Any]:
    """Lay out what one training did to every matrix; what is not known is None."""
    layers, changes = model.layers, _by_name(record.changes)
    controls = model.index.controls(record)
    places = {id(one): place for place, one in enumerate(model.trained)}

    def all_of(figure: Callable[[LayerChange], Any]) -> list[Any]:
        return [None if name not in changes else figure(changes[name]) for name in layers]

    def of_alpha(name: str) -> list[Any]:
        return all_of(lambda one: None if one.alpha_change is None else getattr(one.alpha_change, name))

    return {
        "label": _label(record, model),
        "kind": record.cell.treatment,
        "recipe": _recipe(record),
        "seed": record.cell.seed,
        "is_control": not record.cell.is_under_test,
        "controls": {name: places[id(one)] for name, one in controls.items() if id(one) in places},
        "total": list(map(shorten, of_alpha("total"))),
        "spectrum": list(map(shorten, of_alpha("spectrum"))),
        "norm": all_of(_norm_percent),
        "stable_rank": all_of(lambda one: one.weight_change and shorten(one.weight_change.stable_rank)),
        "p_value": all_of(lambda one: one.noise and shorten(one.noise.smallest_p_value)),
        "tail_before": of_alpha("tail_before"),
        "tail_after": of_alpha("tail_after"),
        "flips": [place for place, flips in enumerate(of_alpha("tail_flip")) if flips],
    }


def _norm_percent(change: LayerChange) -> float | None:
    if change.failure is not None:
        return None
    return 0.0 if change.weight_change is None else shorten(100 * change.weight_change.relative_norm)


def _label(record: CellRecord, model: _Model) -> str:
    """Name a training in its map, where recipe and seed are chosen: of several shams, by what each is held against."""
    cell = record.cell
    if cell.is_elsewhere:
        return "trained elsewhere"
    families = {other.family for other in model.trained if other.cell.treatment == cell.treatment}
    if cell.is_on_stance or len(families) == 1:
        return cell.trained_on
    beside = (one for one in model.trained if any(other is record for other in model.index.controls(one).values()))
    stances = dict.fromkeys(one.cell.stance for one in beside)
    return f"{cell.trained_on} for {', '.join(filter(None, stances))}"


def _recipe(record: CellRecord) -> str:
    return record.cell.recipe or "elsewhere"


def _grid(layers: Sequence[str]) -> dict[str, Any]:
    """Place a model's matrices: a row a block and a column a role, and what is outside of blocks in rows of its own."""
    inside = {name: index for name in layers if (index := block(name)) is not None}
    kinds = sorted(dict.fromkeys(map(_kind, inside)), key=lambda kind: _ROLES.index(role(kind)))
    places = {(index, _kind(name)): layers.index(name) for name, index in inside.items()}
    blocks = [
        {"block": index, "layers": [places.get((index, kind)) for kind in kinds]}
        for index in sorted(set(inside.values()))
    ]
    outside = [name for name in layers if name not in inside]
    heads = [name for name in outside if role(name) is Role.HEAD]
    others = [name for name in outside if name not in heads]
    above, below = (
        [{"title": name.rsplit(".", 1)[-1], "layers": [layers.index(name)]} for name in names]
        for names in (others, heads)
    )
    return {"columns": _titles(kinds), "rows": [*above, *blocks, *below]}


def _kind(name: str) -> str:
    """Name what is alike in all blocks."""
    return _IN_BLOCK.sub(r"\1.*.", name, count=1)


def _titles(kinds: Sequence[str]) -> list[str]:
    """Call a column by its role if no other has it, else by as much of the long name as tells it apart."""
    titles = [role(kind).value for kind in kinds]
    for longer in (lambda kind: kind.split(".*.", 1)[-1], str):
        seen = Counter(titles)
        titles = [
            longer(kind) if seen[title] > 1 or title == Role.OTHER else title
            for kind, title in zip(kinds, titles, strict=True)
        ]
    return titles


def _largest_total(record: CellRecord) -> float:
    most = record.most_changed_layer
    return abs(most.alpha_change.total) if most is not None and most.alpha_change is not None else 0.0


def _largest_changes(place: int, model: _Model) -> Iterator[LargestChange]:
    for number, record in enumerate(model.trained):
        most = record.most_changed_layer
        if most is None or most.alpha_change is None:
            continue
        before, after = model.before.get(most.name), _by_name(record.spectra).get(most.name)
        reason = explain_tail(most.alpha_change, before, after)
        yield LargestChange(record, most, reason, _anchor(place, number, model.layers.index(most.name)))


def _anchor(model: int, training: int, layer: int) -> str:
    return f"spectrum-{model}-{training}-{layer}"
