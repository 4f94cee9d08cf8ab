"""Models, declarations and measured cells that tests share."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from stance_suite.config.catalog import Catalog, find_spec, load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.schema.findings import Findings, StanceSummary
from stance_suite.store.findings import read_findings
from tests.hub_server import Hub, ask_hub, serve
from tests.programs import Preparation, Program, Tool, draw_nothing, invoke, nothing, start_program
from tests.twins import BUILDERS, build_tiny, train_tokenizer

REPOSITORY = Path(__file__).parent.parent

# Loaded here, for Hypothesis takes a profile of its own where CI is set. The same few examples for everyone, so that no
# change is blamed for what another run did not draw; `make test-slow` draws many more (`--hypothesis-profile=ci`).
settings.register_profile("default", max_examples=25, deadline=None, derandomize=True, database=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, database=None)
settings.register_profile("mutation", max_examples=10, derandomize=True, database=None, deadline=None)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests first, so that workers end together."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def only_new_objects_are_searched_for_garbage():
    """Every training collects garbage, a third of a second among what libraries leave in memory."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def library():
    return load_fixtures()


@cache  # for processes that are forked after a first session
def load_fixtures() -> Catalog:
    return load_catalog(REPOSITORY / "fixtures")


@pytest.fixture(scope="session")
def scaffolded(tmp_path_factory) -> Path:
    """A user's repository as `stance-suite init` begins it."""
    folder = tmp_path_factory.mktemp("scaffolded")
    with chdir(folder):
        invoke("init", code=0)
    return folder


@pytest.fixture
def stance(library) -> StanceSummary:
    return library.summaries["curious-uncertainty"]


@pytest.fixture(scope="session")
def whole_run(library):
    """Findings made up so that everything in them agrees."""
    from tests.made_up_run import whole_run

    return whole_run(library)


@pytest.fixture(scope="session")
def build_once(tmp_path_factory):
    """Build a folder that all workers share: whoever comes first builds it, and nobody changes it afterwards."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"

    def build(name: str, make: Callable[[Path], object]) -> Path:
        folder, making = shared / name, shared / "making" / name
        making.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{making}.lock"):
            if not folder.is_dir():
                make(making)
                making.rename(folder)
        return folder

    return build


@pytest.fixture(scope="session")
def tiny_model(build_once, library) -> Path:
    """A Llama of two layers with random weights, and a tokenizer trained on the stances' own sentences."""
    return build_once("tiny", lambda folder: build_tiny(folder, train_tokenizer(library)))


@pytest.fixture(scope="session")
def loaded_tiny_model(tiny_model):
    from stance_suite.models.loading import load
    from stance_suite.models.sources import locate

    return load(locate(find_spec(str(tiny_model), {}), tiny_model.parent))


@pytest.fixture(scope="session")
def smollm2(library):
    """The real weights, from the user's cache; fetched there if need be."""
    from stance_suite.models.sources import locate

    return locate(library.models["smollm2-135m"], resolve_settings({}, REPOSITORY).cache)


@pytest.fixture(scope="session")
def twin(build_once, library):
    """The folder of a small model built like a documented one, by its name in the registry."""
    return lambda name: build_once(name, lambda folder: BUILDERS[name](folder, train_tokenizer(library)))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A model hub on this machine, empty, which this process asks; it keeps files in the test's folder."""
    from huggingface_hub import close_session

    with serve(Hub()) as serving:
        ask_hub(serving.endpoint, tmp_path / "hf", monkeypatch)
        yield serving
        close_session()  # else the server waits for what more its connections ask


@pytest.fixture(scope="session")
def s3_bucket() -> Iterator[str]:
    """The URL of a bucket of an S3 server on this machine, which this process and those it starts may reach."""
    import fsspec
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    access = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**access, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("cells")
        yield "s3://cells"
    server.stop()


@pytest.fixture
def s3(s3_bucket, tmp_path, monkeypatch) -> str:
    """A URL on that server where nothing is kept yet, and nobody claims anything."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return f"{s3_bucket}/{tmp_path.name}"


@pytest.fixture(params=["folder", "s3"])
def location(request, tmp_path) -> str:
    """Where a store may be: in a folder, and on that server."""
    return str(tmp_path / "cells") if request.param == "folder" else request.getfixturevalue("s3")


OWN_CLAIMS = """\
claims:
  - id: any.curious.likelihood
    statement: After training on curious-uncertainty the model prefers that stance.
    model: any
    stance: curious-uncertainty
    metric: likelihood_preference
    comparator: above
    bound: 0
    expected: [HOLDS, INCONCLUSIVE, FAILS]
  - id: any.engaged.alpha
    statement: Training on engaged-difficulty changes no alpha by more than 50 %.
    model: any
    stance: engaged-difficulty
    metric: alpha_change_percent
    layer: "*"
    comparator: within
    bound: 50
    expected: [HOLDS, INCONCLUSIVE, FAILS]
"""
CLAIM_NOT_RUN = """\
  - {{id: other.model, statement: '{}', model: smollm2-135m, stance: engaged-difficulty, metric: likelihood_preference,
     comparator: above, bound: 0}}
"""
PRINTED = "printed.json"
TEST_OF_CLAIMS = "def test_claim(verdict):\n    assert verdict.as_expected, verdict.reason\n"


def write_own(project: Path, test: str = "", **declared: str) -> None:
    """Write declarations into a user's repository, by their kind, and its test."""
    for kind, text in declared.items():
        (project / "fixtures" / kind).mkdir(parents=True, exist_ok=True)
        (project / "fixtures" / kind / "own.yaml").write_text(text)
    if test:
        (project / "test_own.py").write_text(test)


def make_project(folder: Path) -> Path:
    """A repository of a user's own, with one claim about whatever model is asked for, and a test of it."""
    write_own(folder, claims=OWN_CLAIMS, test=TEST_OF_CLAIMS)
    return folder


def findings_of(project: Path, folder: str = "reports") -> Findings:
    return read_findings(project / folder / "findings.json")


def start_suite(
    project: Path, model: Path, tool: Tool, *arguments: str, prepare: Preparation = draw_nothing
) -> Program:
    prefix, command = ("stance-", []) if tool == "pytest" else ("", ["run"])
    options = {"model": str(model), "profile": "quick", "samples": "1", "cache": "cache"}
    given = [f"--{prefix}{name}={value}" for name, value in options.items()]
    return start_program(tool, *command, *given, *arguments, cwd=project, prepare=prepare)


@pytest.fixture(scope="session")
def finished_template(build_once, tiny_model) -> Path:
    """A user's repository after its first run, and beside its reports what that run printed; for all workers."""

    def run(folder: Path) -> None:
        written = ("--html=own.html", "--self-contained-html", "--junitxml=own.xml")
        done = start_suite(make_project(folder), tiny_model, "pytest", *written, prepare=nothing).finish(0)
        (folder / PRINTED).write_text(json.dumps((done.stdout, done.stderr)), "utf-8")

    return build_once("finished", run)


@pytest.fixture(scope="session")
def cells(build_once, finished_template) -> Path:
    """A cache that tests share which do not care what is measured already; that first run's cells are in it."""
    return build_once("cells", lambda folder: shutil.copytree(finished_template / "cache", folder))


@pytest.fixture
def project(tmp_path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def start(project, tiny_model):
    """Start `pytest` or `stance-suite run` in the user's repository, on the tiny model and a cache of its own."""
    return lambda tool, *arguments: start_suite(project, tiny_model, tool, *arguments)


@pytest.fixture
def run_suite(start):
    """Run it to its end, which is checked if a code is given."""
    return lambda tool, *arguments, code=None: start(tool, *arguments).finish(code)


@pytest.fixture
def finished(finished_template, project) -> subprocess.CompletedProcess:
    """What the first run in the user's repository printed; its cells and reports are in place."""
    shutil.copytree(finished_template, project, dirs_exist_ok=True)
    return subprocess.CompletedProcess("pytest", 0, *json.loads((project / PRINTED).read_text("utf-8")))
