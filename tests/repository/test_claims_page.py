"""docs/claims.md names all that a claim can say, and its examples are read by the library."""

import re

import pytest

from stance_suite.config.catalog import load_catalog
from stance_suite.schema.claims import Claim, Counterpart, RecordedFigures
from stance_suite.schema.metrics import Caveat, Comparator, Metric
from stance_suite.schema.verdicts import Status
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "claims.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("|")]
NAMED = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in ROWS)))


def test_tables_name_all_that_a_claim_can_say_and_nothing_else():
    vocabulary = set(map(str, [*Metric.all(), *Comparator, *Caveat, *Status]))
    assert vocabulary <= NAMED <= vocabulary | set(Claim.model_fields)
    for metric in Metric.all():
        (row,) = (row for row in ROWS if row.startswith(f"| `{metric}` |"))
        assert row.split("|")[2].strip() == (metric.unit or "none")


@pytest.mark.parametrize("record", [Claim, Counterpart, RecordedFigures])
def test_every_key_is_explained(record):
    named = [name for name in record.model_fields if any(f"`{name}`" in row or f"`{name}:" in row for row in ROWS)]
    assert named == list(record.model_fields)


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
