"""README, docs/findings.md and the pictures say the same, of one run; `make pictures` renews them."""

import importlib
import sys
from hashlib import sha256

import pytest

from stance_suite.report.publish import publish
from stance_suite.store.findings import read_findings
from tests.conftest import REPOSITORY
from tests.edits import altered
from tests.measured import alpha_change

DOCS = REPOSITORY / "docs"
LARGEST = 300_000
"""Bytes of a picture that a repository can carry."""


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(DOCS))
    yield importlib.import_module("pages")
    sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def figures(pages):
    return pages.Figures.model_validate_json((DOCS / "figures.json").read_bytes())


def test_the_readme_and_the_page_of_findings_say_what_the_figures_say(pages, figures):
    readme, block = (REPOSITORY / "README.md").read_text("utf-8"), pages.render_block(figures)
    assert block in readme
    assert pages.replace_block(readme, block) == readme
    assert (DOCS / "findings.md").read_text("utf-8") == pages.render_page(figures)


def test_the_pictures_are_those_of_the_figures(figures):
    files = {f"pictures/{path.name}" for path in (DOCS / "pictures").iterdir()}
    assert files == {shown.file for shown in figures.pictures.values()}
    for shown in figures.pictures.values():
        content = (DOCS / shown.file).read_bytes()
        assert sha256(content).hexdigest() == shown.sha256, shown.file
        assert len(content) < LARGEST, shown.file


def test_everything_is_renewed_from_a_findings_file(pages, whole_run, tmp_path):
    findings = flipped(whole_run)
    path = publish(findings, tmp_path / "reports").with_suffix(".json")
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{pages.BEGIN}\nold\n{pages.END}\nbelow\n")
    pages.main(path, tmp_path / "docs", readme)
    made = pages.Figures.model_validate_json((tmp_path / "docs" / "figures.json").read_bytes())
    assert readme.read_text() == f"above\n{pages.render_block(made)}below\n"
    assert (tmp_path / "docs" / "findings.md").read_text() == pages.render_page(made)
    assert all((tmp_path / "docs" / shown.file).read_text().startswith("<svg") for shown in made.pictures.values())

    (recipe,) = made.recipes
    shifts = [shift.effect for shift in read_findings(path).shifts if shift.metric == "likelihood_preference"]
    assert recipe.preference.high == max(shifts)
    assert (made.flip.total, made.flip.spectrum, made.flip.tails) == (90.0, 0.5, (60, 20))
    assert recipe.stances.largest_total == 90.0
    assert recipe.stances.tail_flips.high >= 1
    assert "by up to 90 %" in readme.read_text()
    assert len(made.verdicts) == sum(verdict.status != "NOT_RUN" for verdict in findings.verdicts)


def test_what_is_no_tail_flip_and_a_readme_without_a_block_are_refused(pages, figures, whole_run):
    with pytest.raises(SystemExit, match="is no tail flip"):
        pages.extract(flipped(whole_run, alpha_change(90.0, 80.0)), {})
    with pytest.raises(SystemExit, match="needs one block"):
        pages.replace_block("nothing", pages.render_block(figures))


def flipped(findings, change=None):
    """Let the first training under test change one alpha more than any other."""
    cells = list(findings.cells)
    place = next(place for place, record in enumerate(cells) if record.cell.is_under_test)
    first, *others = cells[place].changes
    moved = altered(first, alpha_change=change or alpha_change(90.0, 0.5, 60, 20))
    cells[place] = altered(cells[place], changes=(moved, *others))
    return altered(findings, cells=tuple(cells))
