"""What findings are bound to, and what a model is: hashes that tell whether two of them are the same."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from stance_suite.schema.base import content_key
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Entry, Findings

NO_FIGURES: Any = {
    "provenance": True,
    "training": {"seconds"},
    # kept for featured layers only, and which these are depends on the verdicts; curves follow from eigenvalues
    "spectra": {"__all__": {"eigenvalues", "ks_distances", "curve"}},
}


def fingerprint_findings(findings: Findings) -> tuple[Entry, ...]:
    """Gather the hashes that findings are bound to; neither times nor the machine are part of any."""
    origins = [(record.cell.model, record.provenance) for record in findings.cells]
    return (
        Entry("suite", "version", findings.suite_version),
        *_distinct("weights", ((model, one.weights_sha256) for model, one in origins)),
        *_distinct(
            "trained elsewhere", ((model, one.derivative_sha256) for model, one in origins if one.derivative_sha256)
        ),
        *_distinct("embedder", ((one.embedder, one.embedder_sha256) for _, one in origins)),
        *(Entry("stance", stance.name, stance.sha256) for stance in findings.stances),
        Entry("claims", f"{len(findings.claims)} claims", _digest(findings.claims)),
        Entry("verdicts", f"{len(findings.verdicts)} verdicts", _digest(findings.verdicts)),
        *(entry for record in findings.cells for entry in _fingerprint_cell(record)),
        *_distinct("library", sorted({pair for _, one in origins for pair in one.versions.items()})),
    )


def digest_of_figures(record: CellRecord) -> str:
    """Hash what was measured in a cell: the same in every findings file that holds it."""
    return content_key(json.loads(record.model_dump_json(exclude=NO_FIGURES)))


def _fingerprint_cell(record: CellRecord) -> Iterator[Entry]:
    name = f"{record.cell.model}, {record.cell.label}"
    yield Entry("cell", name, record.key)
    yield Entry("figures", name, digest_of_figures(record))


def _digest(records: Iterable[Any]) -> str:
    return content_key({"records": [json.loads(record.model_dump_json()) for record in records]})


def _distinct(what: str, pairs: Iterable[tuple[str, str]]) -> list[Entry]:
    return [Entry(what, name, value) for name, value in dict.fromkeys(pairs)]
