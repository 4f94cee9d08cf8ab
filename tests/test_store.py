import gzip
import threading
import time

import pytest

from stance_suite.files import write_atomically
from stance_suite.records import Cell, CellRecord, Provenance
from stance_suite.store import content_key, open_store
from tests.measured import behavior


def record(key: str = "k", seed: int = 0) -> CellRecord:
    return CellRecord(
        key=key,
        cell=Cell(model="m", treatment="base", stance=None, recipe=None, seed=seed),
        provenance=Provenance(
            weights_sha256="0",
            embedder="e",
            embedder_sha256="0",
            versions={},
            device="cpu",
            dtype="float32",
            threads=1,
            platform="p",
            created="now",
            seconds=float("nan"),
        ),
        training=None,
        family="f",
        behavior=behavior({}),
        spectra=(),
    )


def test_a_key_depends_on_every_value_and_not_on_order():
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1, "b": [2]}) != content_key({"a": 1, "b": [3]})


def test_a_record_is_made_once_and_read_back(tmp_path):
    store = open_store(str(tmp_path / "cells"))
    made = []
    first = store.get_or_make("k", lambda: made.append(1) or record())
    again = open_store(str(tmp_path / "cells")).get_or_make("k", lambda: made.append(1) or record())
    assert made == [1]
    assert again.cell == first.cell
    assert again.provenance.seconds != again.provenance.seconds, "NaN survives"


def test_concurrent_callers_make_a_record_once(tmp_path):
    made = []
    entered = threading.Barrier(4)

    def make():
        made.append(1)
        time.sleep(0.2)
        return record()

    def call():
        entered.wait()
        open_store(str(tmp_path)).get_or_make("k", make)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: raw[:-9] + b"x" * 9])
def test_a_damaged_record_is_set_aside_and_made_again(tmp_path, damage):
    store = open_store(str(tmp_path))
    store.get_or_make("k", record)
    (tmp_path / "k.json.gz").write_bytes(damage((tmp_path / "k.json.gz").read_bytes()))
    assert store.get("k") is None
    assert list(tmp_path.glob("*.damaged"))
    assert store.get_or_make("k", record).key == "k"
    assert store.get("k") is not None


def test_a_record_of_another_shape_is_made_again(tmp_path):
    store = open_store(str(tmp_path))
    write_atomically((tmp_path / "k.json.gz"), gzip.compress(b'{"key": "k"}'))
    assert store.get("k") is None


def test_nothing_is_left_behind_when_writing_fails(tmp_path):
    target = tmp_path / "file"
    target.mkdir()
    with pytest.raises(OSError):
        write_atomically(target, b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_reader_of_the_old_file_never_meets_the_new_one(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, b"old content")
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old content"
    assert path.read_bytes() == b"new"


def test_a_written_file_is_readable_by_others(tmp_path):
    write_atomically(tmp_path / "a" / "file", b"content")
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    assert (tmp_path / "a" / "file").stat().st_mode == plain.stat().st_mode
