"""What the README tells a newcomer to write must work as it stands."""

import re
from pathlib import Path

import pytest

from stance_suite.library import load_library

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


@pytest.fixture
def files():
    return dict(re.findall(r"`([\w/]+\.(?:yaml|py))`:\n\n```\w+\n(.*?)```", README, flags=re.DOTALL))


def test_a_stance_a_claim_and_a_test_take_under_twenty_lines(files):
    assert set(files) == {"fixtures/stances/pirate.yaml", "fixtures/claims/pirate.yaml", "test_pirate.py"}
    assert sum(len(text.splitlines()) for text in files.values()) < 20


def test_they_are_valid(files, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    library = load_library(tmp_path / "fixtures")
    assert library.suite == ("pirate",)
    assert [entry.claim.id for entry in library.claims] == ["pirate.adopted"]


def test_they_run(files, run_suite, project):
    (project / "fixtures" / "claims" / "own.yaml").unlink()
    (project / "test_own.py").unlink()
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    done = run_suite("pytest")
    # whatever a random model makes of it, it is judged
    assert re.search(r"^(HOLDS|FAILS|INCONCLUSIVE) +pirate.adopted +[+-]", done.stdout, re.MULTILINE), done.stdout
