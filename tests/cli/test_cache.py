import re
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from stance_suite.measure.cell import library_versions
from stance_suite.store.cell_store import open_store
from stance_suite.store.record_file import pack
from tests.cells import A, B, C, D, E, F, record
from tests.programs import invoke

NOW = datetime.now(UTC).isoformat(timespec="seconds")
OLD = (datetime.now(UTC) - timedelta(days=40)).isoformat(timespec="seconds")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


ask = partial(invoke, "cache")


def fill(location, records):
    store = open_store(location)
    for key, made in records.items():
        store.get_or_make(key, lambda key=key, made=made: record(key, **made))
    return store


def test_an_absent_store_is_an_empty_one(location):
    for command, told in (
        ("list", f"0 cells, 0 bytes, 0:00:00 hours of measuring, in {location}\n"),
        ("verify", f"0 records, all whole, in {location}\n"),
        ("prune", f"0 files, 0 bytes, were removed from {location}\n"),
    ):
        done = ask(command, "--store", location, code=0)
        assert done.output.endswith(told)


def test_the_store_of_the_cache_is_the_default(tmp_path):
    assert f"in {tmp_path / 'here' / 'cells'}" in ask("list", "--cache", "here").output
    assert f"in {tmp_path / 'there'}\n" in ask("list", "--cache", "here", "--store", "there").output


def test_list_shows_what_was_done_to_which_model_and_reads_no_record(location, monkeypatch):
    key = "0123456789abcdef" * 4
    fill(location, {key: {"model": "[red]/m", "seed": 3, "seconds": 100.4, "created": OLD}, B: {"seconds": 3600.0}})
    monkeypatch.setattr("stance_suite.store.record_file.unpack", None)
    shown = ask("list", "--store", location, code=0)
    row = next(line for line in shown.output.splitlines() if key[:12] in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert [*cells[:4], *cells[5:]] == ["[red]/m", "base", "", "3", "100", OLD.partition("+")[0], key[:12]]
    assert re.search(r"^2 cells, 1\.\d kB, 1:01:40 hours of measuring", shown.output, re.MULTILINE)


def test_verify_names_what_is_damaged_and_sets_it_aside(location):
    store = fill(location, {A: {}})
    store.backend.create(f"{B}.json.gz", pack(record(B))[:-1])
    store.backend.create(f"{C}.json.gz", pack(record(A)))
    found = ask("verify", "--store", location, code=1)
    assert f"{B}: damaged: its bytes are not those that were written\n" in found.output
    assert f"{C}: damaged: it is the record {A}\n" in found.output
    assert "2 of 3 records are damaged and set aside" in found.output
    again = ask("verify", "--store", location, code=0)
    assert f"1 records, all whole, in {location}" in again.output
    assert {kept.name for kept in store.backend.contents()} == {f"{A}.json.gz", f"{B}.damaged", f"{C}.damaged"}


def test_list_and_prune_know_a_record_without_a_readable_label(location):
    store = fill(location, {A: {}})
    store.backend.create(f"{B}.json.gz", b"no label")
    store.backend.create(f"{C}.json.gz", b"")
    shown = ask("list", "--store", location)
    assert "2 damaged; stance-suite cache verify says which" in shown.output
    told = ask("prune", "--store", location).output
    assert f"{B}.json.gz: damaged, 8 bytes" in told
    assert f"{C}.json.gz: damaged, 0 bytes" in told
    assert store.keys() == [A]


def test_prune_removes_damage_and_leftovers_and_keeps_every_record(tmp_path):
    store = fill("cells", {A: {}, B: {}})
    folder = tmp_path / "cells"
    (folder / f"{C}.damaged").write_bytes(bytes(1000))
    (folder / f".{D}.json.gz.x8_1").write_bytes(bytes(500))
    (folder / f"{E}.json.gz.lock").write_bytes(b"")
    (folder / f"{F}.lock").write_bytes(b"")
    nine = "9" * 64
    (folder / f".{nine}.json.gz.x8_1").write_bytes(b"being written")
    before = {path.name for path in folder.iterdir()}
    with open_store("cells").backend.claim(f"{nine}.json.gz"):
        told = ask("prune", "--store", "cells", "--dry-run").output
        assert "4 files, 1.5 kB, could be removed" in told
        assert {path.name for path in folder.iterdir()} == before | {f"{nine}.json.gz.lock"}
        told = ask("prune", "--store", "cells").output
        assert f"{C}.damaged: damaged, 1.0 kB\n" in told
        assert f".{D}.json.gz.x8_1: left by an earlier run, 500 bytes\n" in told
        assert "4 files, 1.5 kB, were removed" in told
        whole = {f"{A}.json.gz", f"{B}.json.gz"}
        assert {path.name for path in folder.iterdir()} == whole | {f".{nine}.json.gz.x8_1", f"{nine}.json.gz.lock"}
    assert store.keys() == [A, B]


CURRENT = library_versions()
RECORDS = {
    A: {"created": OLD, "versions": CURRENT},
    B: {"created": NOW, "versions": CURRENT},
    C: {"created": OLD, "model": "org/other", "versions": {**CURRENT, "torch": "1.0"}},
    D: {"created": NOW, "model": "org/other", "versions": CURRENT},
}


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], [A, B, C, D]),
        (["--older-than", "30d"], [B, D]),
        (["--older-than", "6w"], [A, B, C, D]),
        (["--older-than", "0h"], []),
        (["--model", "org/other"], [A, B]),
        (["--model", "org/*", "--older-than", "5w"], [A, B, D]),
        (["--other-versions"], [A, B, D]),
    ],
)
def test_prune_removes_the_records_that_its_options_name(options, left):
    store = fill("cells", RECORDS)
    dry = ask("prune", "--store", "cells", "--dry-run", *options)
    assert sorted(store.keys()) == sorted(RECORDS)
    wet = ask("prune", "--store", "cells", *options)
    assert sorted(store.keys()) == left
    assert dry.output.replace("could be", "were") == wet.output
    assert f"{4 - len(left)} files" in wet.output


def test_prune_knows_records_that_were_measured_another_way(monkeypatch):
    store = fill("cells", {A: {"versions": CURRENT}})
    monkeypatch.setattr("stance_suite.store.prune.MEASUREMENT_VERSION", 99)
    ask("prune", "--store", "cells", "--other-versions")
    assert store.keys() == []


@pytest.mark.parametrize("text", ["30", "d", "-1d", "1y", "1.5d"])
def test_a_duration_that_is_none_is_one_sentence(text):
    told = ask("prune", f"--older-than={text}", code=2)
    assert f"option older-than: '{text}' is no duration such as 12h, 30d or 8w" in told.output
