"""What the README tells a newcomer to write must be valid as it stands; `test_own_repository` runs it."""

from stance_suite.config.catalog import load_catalog


def test_a_stance_a_claim_and_a_test_take_under_twenty_lines(readme_files):
    assert set(readme_files) == {"fixtures/stances/pirate.yaml", "fixtures/claims/pirate.yaml", "test_pirate.py"}
    assert sum(len(text.splitlines()) for text in readme_files.values()) < 20


def test_they_are_valid(readme_files, tmp_path):
    for name, text in readme_files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    library = load_catalog(tmp_path / "fixtures")
    assert library.suite == ("pirate",)
    assert [entry.claim.id for entry in library.claims] == ["pirate.adopted"]
