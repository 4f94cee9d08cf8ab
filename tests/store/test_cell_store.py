import gzip
import hashlib
import os
import threading

import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.files import write_atomically
from stance_suite.schema.base import content_key
from stance_suite.schema.cells import MEASUREMENT_VERSION
from stance_suite.store.backends import open_backend
from stance_suite.store.cell_store import open_store
from stance_suite.store.record_file import LABEL_BYTES, DamagedRecordError, _member, pack, read_label, unpack
from tests.cells import A, B, C, D, E, at_once, no_file_longer_than, record
from tests.conftest import findings_of


def refuse():
    raise AssertionError("it must not be made")


def test_a_key_depends_on_every_value_and_not_on_order():
    assert content_key({"a": 1, "b": [2]}) == content_key({"b": [2], "a": 1})
    assert content_key({"a": 1, "b": [2]}) != content_key({"a": 1, "b": [3]})


def test_a_record_is_made_once_and_read_back(tmp_path):
    store = open_store(str(tmp_path / "cells"))
    assert not store.has(A)
    assert store.get(A) is None
    first = store.get_or_make(A, record)
    again = open_store(str(tmp_path / "cells")).get_or_make(A, refuse)
    assert store.has(A)
    assert again.cell == first.cell
    assert again.provenance.seconds != again.provenance.seconds, "NaN survives"
    assert [path.name for path in (tmp_path / "cells").iterdir()] == [f"{A}.json.gz"], "and nothing else is left"


def test_concurrent_callers_divide_what_is_to_be_made(location):
    under_way, others_done = threading.Event(), threading.Event()
    made, found = [], {}

    def slowly():
        made.append("first: a")
        under_way.set()
        assert others_done.wait(20), "the second waits for the first, and makes nothing meanwhile"
        return record(A)

    def b_is_last():
        made.append("second: b")
        others_done.set()
        return record(B)

    def second():
        under_way.wait()
        found.update(open_store(location).get_or_make_all({A: refuse, C: lambda: record(C), B: b_is_last}))

    at_once(lambda: open_store(location).get_or_make_all({A: slowly, C: refuse, B: refuse}), second)
    assert made == ["first: a", "second: b"]
    assert [(key, one.key) for key, one in found.items()] == [(A, A), (C, C), (B, B)]


def test_who_fails_to_make_a_record_holds_nobody_up(tmp_path):
    store = open_store(str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        store.get_or_make_all({A: lambda: record(A), B: lambda: 1 / 0, C: refuse})
    assert store.has(A), "what was made before is kept"
    assert store.get_or_make(B, lambda: record(B)).key == B


@pytest.mark.parametrize("is_damaged", [False, True], ids=["whole", "damaged"])
def test_of_two_machines_the_first_wins_and_the_second_reads_it_unless_it_is_damaged(s3, is_damaged):
    content = pack(record(created="first"))

    def too_late():
        assert open_backend(s3).create(f"{A}.json.gz", content[:-1] if is_damaged else content)
        return record(created="second")

    store, winner = open_store(s3), "second" if is_damaged else "first"
    assert store.get_or_make(A, too_late).provenance.created == winner
    assert store.get(A).provenance.created == winner
    assert store.keys() == [A]
    assert store.backend.exists(f"{A}.damaged") == is_damaged


LARGE = "".join(os.urandom(2).hex() + " " for _ in range(250_000))


def test_a_record_cut_off_anywhere_is_set_aside_and_made_again(tmp_path):
    small, large = pack(record()), pack(record(platform=LARGE))
    assert len(large) > 400_000
    cuts = [small[:end] for end in range(0, len(small), 10)] + [large[:end] for end in range(0, len(large), 10_000)]
    store = open_store(str(tmp_path))
    for content in cuts:
        (tmp_path / f"{A}.json.gz").write_bytes(content)
        assert store.get(A) is None
        assert (tmp_path / f"{A}.damaged").read_bytes() == content
        assert not store.has(A)
        (tmp_path / f"{A}.json.gz").write_bytes(content)
        assert store.check(A)
        assert not store.has(A)
    (tmp_path / f"{A}.json.gz").write_bytes(cuts[-1])
    assert store.get_or_make(A, record).key == A
    assert (tmp_path / f"{A}.damaged").read_bytes() == cuts[-1]
    assert store.check(A) is None


def test_the_same_record_is_the_same_bytes_and_a_byte_that_is_another_is_always_found():
    content = pack(record())
    assert content == pack(record())
    assert unpack(content, A).key == A
    for place in range(len(content)):
        for change in (0xFF, 0x01):
            flipped = bytearray(content)
            flipped[place] ^= change
            with pytest.raises(DamagedRecordError):
                unpack(bytes(flipped), A)


NO_RECORD = {
    "another's": pack(record(B)),
    "another shape": gzip.compress(b'{"key": "k"}'),
    "no record": gzip.compress(b"[]"),
    "unlabelled": gzip.compress(record().model_dump_json().encode()),
    "longer": pack(record()) + b"more",
    "twice": pack(record()) + pack(record()),
    "not gzip": b"not gzip at all",
}


@pytest.mark.parametrize("content", NO_RECORD.values(), ids=NO_RECORD)
def test_what_is_not_the_record_is_made_again(tmp_path, content):
    (tmp_path / f"{A}.json.gz").write_bytes(content)
    store = open_store(str(tmp_path))
    assert store.get(A) is None
    assert store.get_or_make(A, record).key == A
    assert store.get(A).key == A


def test_a_label_tells_what_a_record_is_without_the_rest(tmp_path, monkeypatch):
    label = read_label(pack(record(created="then", seconds=12.5, commit=LARGE[:10_000]))[:LABEL_BYTES])
    assert (label.key, label.cell, label.measurement) == (A, record().cell, MEASUREMENT_VERSION)
    assert (label.provenance.created, label.provenance.seconds) == ("then", 12.5)
    store = open_store(str(tmp_path))
    for key in (A, B):
        store.get_or_make(key, lambda key=key: record(key, seconds=1))
    (tmp_path / f"{C}.json.gz").write_bytes(b"damaged")
    (tmp_path / f"{D}.json.gz").write_bytes(b"")
    (tmp_path / f"{E}.json.gz").write_bytes(pack(record(B)))
    monkeypatch.setattr(store.backend, "read", lambda name, count, read=store.backend.read: read(name, count))
    labels = {kept.key: kept.label and kept.label.key for kept in store.records()}
    assert labels == {A: A, B: B, C: None, D: None, E: None}


def test_what_cannot_be_read_now_is_not_damaged(tmp_path):
    (tmp_path / f"{A}.json.gz").mkdir()
    store = open_store(str(tmp_path))
    for read in (lambda: store.get(A), lambda: store.get_or_make(A, refuse), lambda: store.check(A)):
        with pytest.raises(StanceSuiteError, match=r"a0+.json.gz cannot be read: Is a directory"):
            read()
    assert (tmp_path / f"{A}.json.gz").is_dir()


def test_whether_it_could_be_kept_is_found_out_before_a_cell_is_measured(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StanceSuiteError, match=r"file/cells/a0+.json.gz cannot be read: Not a directory"):
        open_store(str(tmp_path / "file" / "cells")).get_or_make(A, refuse)
    with no_file_longer_than(1000), pytest.raises(StanceSuiteError, match="cannot be written: File too large"):
        open_store(str(tmp_path / "cells")).get_or_make(A, refuse)


def test_a_disk_that_fills_up_meanwhile_loses_one_cell_and_leaves_nothing(tmp_path):
    store = open_store(str(tmp_path))
    store.get_or_make(A, lambda: record(A))
    limits = []

    def fill_the_disk():
        limits.append(no_file_longer_than(100))
        limits[0].__enter__()
        return record(B)

    with pytest.raises(StanceSuiteError, match=r"b0+.json.gz cannot be written: File too large; free space, and run"):
        store.get_or_make_all({A: refuse, B: fill_the_disk})
    limits[0].__exit__(None, None, None)
    assert {path.name for path in tmp_path.iterdir()} == {f"{A}.json.gz", f"{B}.json.gz.lock"}
    assert store.get_or_make(B, lambda: record(B)).key == B


def test_a_run_with_a_bucket_finds_what_one_with_a_folder_does(finished, run_suite, project, s3):
    local, bucket = findings_of(project), open_backend(s3)
    trained = [cell for cell in local.cells if cell.training is not None]
    for cell in trained:
        name = f"{cell.key}.json.gz"
        assert bucket.create(name, (project / "cache" / "cells" / name).read_bytes())

    def run(*command):
        """Run, and tell what was measured and found."""
        done = run_suite(*command, code=0)
        return done.stderr.count(": behavior …\n"), findings_of(project, "remote")

    measured, remote = run("stance-suite", f"--store={s3}", "--reports=remote")
    assert measured == len(local.cells) - len(trained) == 1
    assert remote.verdicts == local.verdicts
    assert [(cell.key, cell.behavior) for cell in remote.cells] == [(cell.key, cell.behavior) for cell in local.cells]
    assert sorted(open_store(s3).keys()) == sorted(cell.key for cell in local.cells)
    measured, again = run("pytest", f"--stance-store={s3}", "--stance-reports=remote")
    assert measured == 0
    assert again.verdicts == local.verdicts


def test_a_file_is_written_whole_or_not_at_all_and_readable_by_others(tmp_path):
    path, plain = tmp_path / "a" / "file", tmp_path / "plain"
    write_atomically(path, b"old content")
    plain.write_bytes(b"")
    assert path.stat().st_mode == plain.stat().st_mode
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old content", "a reader of the old file never meets the new one"
    assert path.read_bytes() == b"new"
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError):
        write_atomically(path, b"content")
    assert list(path.parent.iterdir()) == [path], "nothing is left behind when writing fails"


def test_a_whole_record_of_another_version_is_no_damage(tmp_path):
    store = open_store(str(tmp_path))
    store.get_or_make(A, lambda: record(A))
    content = store.backend.read(f"{A}.json.gz")
    label, body = read_label(content), gzip.decompress(content).partition(b"\n")[2]
    later = gzip.compress(body.replace(b'{"key":', b'{"invented_later":1,"key":', 1))
    text = label.model_copy(update={"sha256": hashlib.sha256(later).hexdigest()}).model_dump_json().encode() + b"\n"
    store.backend.remove(f"{A}.json.gz")
    assert store.backend.create(f"{A}.json.gz", _member(text, 9) + later)
    assert store.check(A) is None
    assert store.has(A), "it is left where it is"
    (kept,) = store.records()
    assert kept.is_whole
