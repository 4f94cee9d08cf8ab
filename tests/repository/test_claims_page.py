"""docs/claims.md names all that a claim can say, and its examples are read by the library."""

import re

import pytest

from stance_suite.config.catalog import load_catalog
from stance_suite.schema.claims import Claim, Counterpart, RecordedFigures
from stance_suite.schema.metrics import Caveat, Comparator, Metric
from stance_suite.schema.verdicts import Status
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "claims.md").read_text("utf-8")


@pytest.mark.parametrize("vocabulary", [Metric.all(), Comparator, Caveat, Status])
def test_every_name_has_a_row_of_a_table(vocabulary):
    cells = " ".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("|"))
    assert [one for one in vocabulary if f"`{one}`" not in cells] == []


@pytest.mark.parametrize("record", [Claim, Counterpart, RecordedFigures])
def test_every_key_is_explained(record):
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    named = [name for name in record.model_fields if any(f"`{name}`" in row or f"`{name}:" in row for row in rows)]
    assert named == list(record.model_fields)


def test_every_metric_is_told_with_its_unit():
    for metric in Metric.all():
        (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{metric}` |"))
        assert row.split("|")[2].strip() == (metric.unit or "none")


def test_no_table_names_what_does_not_exist():
    known = {*Metric.all(), *Comparator, *Caveat, *Status, *Claim.model_fields}
    first = [cell for line in PAGE.splitlines() if line.startswith("| `") for cell in [line.split("|")[1]]]
    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} <= set(map(str, known))


def test_every_example_is_read(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        folder = tmp_path / block.split(":")[0]
        folder.mkdir()
        (folder / "page.yaml").write_text(block)
    library = load_catalog(tmp_path)
    assert len(library.claims) == 6
    (statement,) = library.statements
    assert set(statement.measured) <= {entry.claim.id for entry in library.claims}
    sentences = {
        "drops by more than 30 %",
        "no layer's alpha changes by more than 1 %",
        "the same layer changes most under both stances",
        "at least 50 times",
        "changed layers lie between 50 % and 70 % of depth",
        "behavior moves though no alpha does",
    }
    told = " / ".join([*(entry.claim.statement for entry in library.claims), statement.statement])
    assert [sentence for sentence in sentences if sentence not in told] == []
