"""Where bytes are kept: the same promises in a folder, on S3 and on file systems that promise less."""

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from functools import partial
from pathlib import Path

import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.store.backends import open_backend
from stance_suite.store.backends.folder import FolderBackend
from stance_suite.store.backends.remote import RemoteBackend
from tests.cells import A, B, C, at_once, no_file_longer_than
from tests.conftest import REPOSITORY


@pytest.fixture(params=["folder", "memory", "s3", "by renaming"])
def backend(request, tmp_path):
    match request.param:
        case "folder":
            return open_backend(str(tmp_path / "new" / "backend"))
        case "memory":
            return open_backend(f"memory://{uuid.uuid4()}")
        case "s3":
            return open_backend(request.getfixturevalue("s3"))
        case "by renaming":
            return RemoteBackend(f"file://{tmp_path / 'new' / 'backend'}")


def names(backend):
    return [kept.name for kept in backend.contents()]


def test_nothing_is_there_before_something_is_written(backend):
    assert names(backend) == []
    assert list(backend.leftovers()) == []
    assert not backend.exists(A)
    for read in (lambda: backend.read(A), lambda: backend.read(A, 2)):
        with pytest.raises(FileNotFoundError):
            read()
    backend.remove(A)
    backend.rename(A, B)


def test_what_is_there_is_never_written_over(backend):
    assert backend.create(A, b"first")
    assert not backend.create(A, b"second")
    assert backend.read(A) == b"first"
    assert backend.read(A, 2) == b"fi"
    assert backend.read(A, 99) == b"first"
    assert backend.exists(A)
    assert [(kept.name, kept.size) for kept in backend.contents()] == [(A, 5)]


def test_renaming_and_removing(backend):
    backend.create(A, b"one")
    backend.create(B, b"two")
    backend.rename(A, B)
    assert names(backend) == [B]
    assert backend.read(B) == b"one"
    assert backend.create(A, b"three")
    backend.remove(B)
    assert names(backend) == [A]


def remove_leftovers(backend):
    for leftover in backend.leftovers():
        backend.remove(leftover.name)


def test_a_rehearsal_leaves_nothing_that_counts(backend):
    backend.rehearse(A)
    assert names(backend) == []
    assert not backend.exists(A)
    remove_leftovers(backend)
    assert list(backend.leftovers()) == []


def test_of_concurrent_creations_one_wins(location):
    won = []

    def create(number):
        if open_backend(location).create(A, b"%d" % number * 10_000):
            won.append(number)

    at_once(*(partial(create, number) for number in range(8)))
    (winner,) = won
    assert open_backend(location).read(A) == b"%d" % winner * 10_000
    assert names(open_backend(location)) == [A]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    backend = open_backend(str(tmp_path / "backend"))
    backend.create(A, b"first")
    with no_file_longer_than(1000):
        with pytest.raises(StanceSuiteError, match=r"b0+ cannot be written: File too large; free space, and run again"):
            backend.create(B, bytes(2000))
        with pytest.raises(StanceSuiteError, match="free space, and run again: finished cells are kept"):
            backend.rehearse(B)
        assert backend.create(C, bytes(500))
    assert sorted(path.name for path in (tmp_path / "backend").iterdir()) == [A, C]


@pytest.fixture
def unprivileged():
    """A folder of somebody who is not root, as whom this process works meanwhile."""
    import filelock  # noqa: F401 -- what is installed may be root's alone

    was = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        if was == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        yield Path(folder)
        os.seteuid(was)
        Path(folder).chmod(0o700)


def test_what_may_not_be_written_or_read_is_one_sentence(unprivileged):
    backend = open_backend(str(unprivileged))
    backend.create(A, b"first")
    (unprivileged / A).chmod(0)
    for read in (lambda: backend.read(A), lambda: backend.read(A, 1)):
        with pytest.raises(StanceSuiteError, match=r"a0+ cannot be read: Permission denied; mend that, or name"):
            read()
    unprivileged.chmod(0o500)
    writing = [partial(backend.create, B, b""), partial(backend.rehearse, B), partial(backend.remove, A)]
    writing += [partial(backend.rename, A, C), *(backend.claim(B, wait=wait).__enter__ for wait in (True, False))]
    for write in writing:
        with pytest.raises(StanceSuiteError, match="cannot be written: Permission denied; make it writable or name"):
            write()
    with pytest.raises(StanceSuiteError, match="cannot be written"):
        open_backend(str(unprivileged / "new")).rehearse(B)


def test_a_new_name_outlasts_a_power_cut(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda at: (synced.append(Path(f"/proc/self/fd/{at}").readlink()), fsync(at)))
    open_backend(str(tmp_path)).create(A, b"content")
    written, folder = synced
    assert written.name.startswith(f".{A}.")
    assert folder == tmp_path, "after the name was given"


HOLD = """
import sys
from stance_suite.store.backends import open_backend
with open_backend(sys.argv[1]).claim(sys.argv[2], wait=False) as granted:
    print(granted, flush=True)
    sys.stdin.read()
"""


def start_python(code, location):
    """Start a process that tells whether it could do something, and goes on when its input ends."""
    command, pipes = [sys.executable, "-c", code, location, A], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, **pipes, text=True, cwd=REPOSITORY)
    return process, process.stdout.readline().strip() == "True"


hold = partial(start_python, HOLD)
"""Claim something."""


def test_a_claim_holds_others_off_until_its_process_dies(location):
    backend = open_backend(location)
    process, granted = hold(location)
    assert granted
    with backend.claim(A, wait=False) as mine, backend.claim(B, wait=False) as another:
        assert (mine, another) == (False, True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with backend.claim(A):
        process, granted = hold(location)
        assert not granted
        process.communicate()
    with backend.claim(A, wait=False) as mine:
        assert mine


def test_a_locks_file_goes_when_nothing_is_left_to_be_made(tmp_path):
    backend = FolderBackend(tmp_path)
    with backend.claim(A):
        pass
    assert [path.name for path in tmp_path.glob("*.lock")] == [f"{A}.lock"], "whoever waits for it must not lose it"
    with backend.claim(A):
        backend.create(A, b"made")
    with backend.claim(A, wait=False) as granted:
        assert granted
    assert list(tmp_path.glob("*.lock")) == []


def test_what_a_killed_process_left_is_told_from_what_is_being_written(tmp_path):
    backend = open_backend(str(tmp_path))
    for name in (f".{A}.0_x9", f".{B}.0_x9", f"{B}.lock", f"{C}.lock"):
        (tmp_path / name).write_bytes(b"half")
    process, _ = hold(str(tmp_path))
    found = [leftover.name for leftover in backend.leftovers()]
    assert found == [f".{B}.0_x9", f"{B}.lock", f"{C}.lock"], "a is being written"
    process.communicate()
    remove_leftovers(backend)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / f".{A}.0_x9").write_bytes(b"half")
    assert [leftover.name for leftover in backend.leftovers()] == [f".{A}.0_x9"]
    assert [path.name for path in tmp_path.iterdir()] == [f".{A}.0_x9"], "looking for leftovers leaves none"


def test_what_is_somebodys_own_is_neither_listed_nor_left_over(location):
    backend = open_backend(location)
    for name in (".bashrc", ".data.json.gz.0_x9", "poetry.lock", "data.json.gz", A[:-1], f"{A}.txt", A.upper(), A):
        backend.create(name, b"own")
    assert names(backend) == [A]
    assert list(backend.leftovers()) == []


def test_a_package_that_is_missing_is_named():
    try:
        import gcsfs  # noqa: F401
    except ImportError:
        with pytest.raises(StanceSuiteError, match=r"gs://bucket/cells cannot be reached .* pip install gcsfs"):
            open_backend("gs://bucket/cells")


def test_a_bucket_that_is_not_there_is_one_sentence(s3_bucket):
    backend = open_backend("s3://elsewhere/cells")
    assert backend.contents() == []
    assert not backend.exists(A)
    for write in (lambda: backend.rehearse(A), lambda: backend.create(A, b"")):
        with pytest.raises(StanceSuiteError, match=r"s3://elsewhere/cells/.* cannot be written: .*bucket does not ex"):
            write()


def test_a_server_that_is_not_there_is_one_sentence(s3_bucket):
    import fsspec

    nowhere = {"endpoint_url": "http://127.0.0.1:9", "config_kwargs": {"retries": {"max_attempts": 0}}}
    backend = open_backend("s3://cells/x")
    backend._files = fsspec.filesystem("s3", skip_instance_cache=True, **nowhere)
    backend._files.retries = 1
    with pytest.raises(StanceSuiteError, match=r"s3://cells/x/a0+ cannot be read: Could not connect to the endpoint"):
        backend.read(A)
    with pytest.raises(StanceSuiteError, match=r"s3://cells/x/a0+ cannot be written: Could not connect"):
        backend.create(A, b"")


def test_a_creation_that_meets_another_under_way_is_tried_again(s3, monkeypatch):
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    backend = open_backend(s3)
    pipe_file = backend._files.pipe_file
    conflicts = iter([True, True, False])

    def conflicting(*arguments, **options):
        if next(conflicts):
            raise translate_boto_error(ClientError({"Error": {"Code": "ConditionalRequestConflict"}}, "PutObject"))
        return pipe_file(*arguments, **options)

    monkeypatch.setattr(backend._files, "pipe_file", conflicting)
    monkeypatch.setattr("stance_suite.store.backends.remote.PATIENCE", (0, 0))
    assert backend.create(A, b"made")
    assert backend.read(A) == b"made"


ELSEWHERE = """
import sys
from stance_suite.store.backends import open_backend
backend = open_backend(sys.argv[1])
print(backend.create(sys.argv[2], b"x"), flush=True)
sys.stdin.read()
backend.remove(sys.argv[2])
"""


def test_what_another_machine_writes_is_seen_at_once(s3):
    one, two = open_backend(s3), open_backend(s3)
    assert names(one) == []
    assert not one.exists(A)
    process, created = start_python(ELSEWHERE, s3)
    assert created
    assert names(one) == names(two) == [A]
    assert one.exists(A)
    process.communicate()
    assert not one.exists(A)
