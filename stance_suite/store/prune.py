"""What a store of cells can do without: damage, what killed runs left behind, and records that nobody asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from stance_suite.schema.cells import MEASUREMENT_VERSION
from stance_suite.store.cell_store import DAMAGED, RECORD, Store
from stance_suite.store.record_file import Label


@dataclass(frozen=True)
class Prunable:
    """Which records may go: those of which all is true that is not None."""

    created_before: datetime | None = None
    """They were measured before."""
    model: str | None = None
    """They are of this model, a name or a glob."""
    other_than: Mapping[str, str] | None = None
    """They were not made with these versions of Python and the libraries that compute: their keys are others, too."""

    def covers(self, label: Label) -> bool:
        """Tell whether a record may go; none if nothing is asked for."""
        made = label.provenance
        return (
            self != Prunable()
            and (self.created_before is None or datetime.fromisoformat(made.created) < self.created_before)
            and (self.model is None or fnmatchcase(label.cell.model, self.model))
            and (
                self.other_than is None or made.versions != self.other_than or label.measurement != MEASUREMENT_VERSION
            )
        )


@dataclass(frozen=True)
class Waste:
    """One thing that can go."""

    name: str
    """Its name in the store."""
    size: int
    """Bytes that it takes."""
    reason: str
    """Why it can go."""


def find_waste(store: Store, unwanted: Prunable) -> Iterator[Waste]:
    """Find what a store can do without; each may be removed before the next is asked for."""
    for kept in store.backend.contents():
        if kept.name.endswith(DAMAGED):
            yield Waste(kept.name, kept.size, "damaged")
    for leftover in store.backend.leftovers():
        yield Waste(leftover.name, leftover.size, "left by an earlier run")
    # only another version of stance-suite can tell the model and the age of its records
    any_other_version = unwanted.other_than is not None and unwanted.created_before is None and unwanted.model is None
    for record in store.records():
        name = f"{record.key}{RECORD}"
        if not record.is_whole:
            yield Waste(name, record.size, "damaged")
        elif record.label is None and any_other_version:
            yield Waste(name, record.size, "of another version of stance-suite")
        elif record.label is not None and unwanted.covers(record.label):
            yield Waste(name, record.size, f"{record.label.cell.model}, {record.label.cell.label}")
