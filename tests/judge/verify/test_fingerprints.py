import pytest

from stance_suite.judge.verify.fingerprints import digest_of_figures, fingerprint_findings
from tests.edits import edited


def values(entries, what):
    return [(entry.name, entry.value) for entry in entries if entry.what == what]


def test_findings_are_bound_to_what_they_were_made_of(whole_run):
    found = fingerprint_findings(whole_run)
    assert values(found, "weights") == [("m", "0" * 64)]
    assert values(found, "embedder") == [("e", "0" * 64)]
    assert values(found, "library") == [("torch", "1")]
    assert values(found, "stance") == [(one.name, one.sha256) for one in whole_run.stances]
    assert [key for _, key in values(found, "cell")] == [record.key for record in whole_run.cells]


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("claims", 0, "bound"), 0.06, "claims"),
        (("verdicts", 0, "figure"), 1.0, "verdicts"),
        (("cells", "sham--0", "behavior", "likelihoods", 0, "log_probability", "engaged-difficulty"), 1.0, "figures"),
        (("cells", "sham--0", "changes", 0, "noise", "tail_flips"), 0.5, "figures"),
        (("cells", "sham--0", "training", "texts", 0), "x", "figures"),
    ],
)
def test_an_edit_changes_one_hash(whole_run, path, value, what):
    ours, theirs = (fingerprint_findings(one) for one in (whole_run, edited(whole_run, (path, value))))
    changed = [before.what for before, after in zip(ours, theirs, strict=True) if before != after]
    assert changed == [what]


def test_figures_have_the_same_hash_wherever_and_whenever_they_were_measured(whole_run):
    record = whole_run.cells[2]
    other = edited(
        whole_run,
        (("cells", 2, "provenance", "created"), "2027-01-01"),
        (("cells", 2, "training", "seconds"), 9.0),
        (("cells", 2, "spectra", 0, "eigenvalues"), [1.0]),
        (("cells", 2, "spectra", 1, "curve"), None),
    ).cells[2]
    assert other != record
    assert digest_of_figures(other) == digest_of_figures(record)


def test_figures_that_are_not_finite_have_a_hash_too(whole_run):
    path = ("cells", 2, "behavior", "fluency", "repetition")
    unknown, infinite = (digest_of_figures(edited(whole_run, (path, value)).cells[2]) for value in ("NaN", "Infinity"))
    assert len({unknown, infinite, digest_of_figures(whole_run.cells[2])}) == 3
