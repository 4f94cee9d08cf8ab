import pytest

from tests.programs import invoke


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_is_seen_of_each_edit_is_told(twin):
    done = invoke("selftest", twin("distilgpt2"), "--only", "rank-one", "--only", "zeroed", code=0)
    for told in ("itself", "rounded to bfloat16", "noise of the size of rounding", "rank-one edit", "of it"):
        assert told in done.output
    assert "9 of 9 planted edits were seen; 0 of all are not as documented" in done.output
    assert "others of its role 0 %" in done.output


def test_what_is_missed_above_its_documented_size_fails(twin, monkeypatch):
    monkeypatch.setattr("stance_suite.judge.structure.unexplained.TIMES_OF_A_ROLE", 3.0)
    monkeypatch.setattr("stance_suite.judge.structure.unexplained.ROUNDING", 0.5)
    done = invoke("selftest", twin("distilgpt2"), "--only", "one row", code=1)
    assert "not as documented: one row scaled, 0.1 more" in done.output
    assert "MISSED" in done.output


def test_a_kind_that_is_not_known_is_refused(twin):
    done = invoke("selftest", twin("distilgpt2"), "--only", "rank-two", code=2)
    assert "no kind of edit is called so; there are: rank-one edit, " in done.output
