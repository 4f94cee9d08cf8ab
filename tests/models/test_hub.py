"""Weights from a hub on 127.0.0.1."""

import hashlib
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from stance_suite.config.catalog import find_spec
from stance_suite.errors import StanceSuiteError
from stance_suite.models import hub as client
from stance_suite.models.loading import load
from stance_suite.models.sources import locate as locate_weights
from tests.hub_server import Repository, ask_hub, read_folder
from tests.programs import invoke, run_program

COMMIT, LATER = "a" * 40, "b" * 40
NOWHERE = "http://127.0.0.1:9"
CUT = 12 * 2**20
"""Past the first piece of 10 MiB that the Hub's client writes: what came before is kept."""


@pytest.fixture
def locate(hub, library, tmp_path):
    """Locate a model: what was found, or the error's one line."""

    def run(asked):
        try:
            return locate_weights(find_spec(asked, library.models), tmp_path / "cache")
        except StanceSuiteError as error:
            return f"{type(error).__name__}: {error}"

    return run


@pytest.fixture
def small(hub, twin):
    """The DistilGPT2 twin under a made-up name, with a pickle beside it."""
    files = read_folder(twin("distilgpt2")) | {"pytorch_model.bin": b"\x80\x04.", "README.md": b"A twin."}
    hub.repositories["org/small"] = Repository({COMMIT: files}, {"main": COMMIT})
    return files


@pytest.fixture
def large(hub):
    """Files that can be located, if not loaded: the weights come in two pieces."""
    files = {"config.json": b"{}", "model.safetensors": hashlib.shake_256(b"weights").digest(16 * 2**20)}
    hub.repositories["org/large"] = Repository({COMMIT: files}, {"main": COMMIT})
    return files["model.safetensors"]


@pytest.mark.parametrize("name", ["qwen2-0.5b", "distilgpt2", "pythia-160m"])
def test_a_documented_model_is_fetched_at_its_pinned_commit_and_loaded(hub, library, twin, locate, name):
    source = library.models[name].source
    hub.repositories[source.repository] = Repository({source.revision: read_folder(twin(name))})
    found = locate(name)
    assert found.commit == source.revision
    assert read_folder(found.folder) == read_folder(twin(name))
    assert sum(parameter.numel() for parameter in load(found)[0].parameters()) > 100_000
    revisions = {path.split("/")[4] for path in (one.path for one in hub.content_requests()) if "/resolve/" in path}
    assert revisions == {source.revision}


def test_only_what_is_loaded_is_fetched(hub, small, locate):
    found = locate(f"org/small@{COMMIT}")
    assert set(read_folder(found.folder)) == set(small) - {"pytorch_model.bin", "README.md"}
    assert not hub.transfers("pytorch_model.bin")
    assert all("org/small" in one.path for one in hub.log), "and nothing else is asked"
    assert not any("torch" in one.user_agent for one in hub.log), "nor told"


def test_a_branch_that_moved_on_does_not_change_what_is_pinned(hub, small, locate):
    moved = small | {"config.json": small["config.json"] + b"\n"}
    hub.repositories["org/small"].commits[LATER] = moved
    hub.repositories["org/small"].branches["main"] = LATER
    pinned, newest = locate(f"org/small@{COMMIT}"), locate("org/small")
    assert (pinned.commit, newest.commit) == (COMMIT, LATER)
    assert read_folder(pinned.folder)["config.json"] == small["config.json"]
    assert pinned.sha256 != newest.sha256
    assert len(hub.transfers("model.safetensors")) == 1, "both commits hold the same weights"


@pytest.mark.parametrize("asked", ["org/small", f"org/small@{COMMIT}"])
def test_a_second_load_asks_nothing_of_the_hub_and_needs_none(hub, small, locate, asked, tmp_path, monkeypatch):
    first = locate(asked)
    hub.log.clear()
    assert locate(asked) == first
    assert not hub.log
    ask_hub(NOWHERE, tmp_path / "hf", monkeypatch)
    assert locate(asked) == first
    assert re.search(r"org/other@main .* cannot be reached \(.*\); connect", locate("org/other"))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (f"org/small@{LATER}", "it has no such revision; .*/org/small/commits/main"),
        ("org/other@main", "there is no such repository, or it is private; .* HF_TOKEN"),
    ],
)
def test_what_the_hub_does_not_have_is_one_sentence(small, locate, asked, said):
    assert re.match(f"WeightsUnavailableError: {asked} cannot be .*: {said}", locate(asked))


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((401, "RepoNotFound"), "there is no such repository, or it is private"),
        ((403, "GatedRepo"), "it is gated; accept its terms at http"),
        ((403, ""), "403 Forbidden"),
        ((503, ""), "503 Service Unavailable"),
    ],
)
def test_a_refusal_is_one_sentence_at_once(hub, small, locate, refusal, said):
    hub.repositories["org/small"].refusal = refusal
    line = locate("org/small")
    assert line.startswith("WeightsUnavailableError: org/small@main cannot be fetched from the Hugging Face Hub: ")
    assert said in line
    assert len(hub.log) == 1, "asked once, not again and again"


def test_files_of_a_gated_repository_are_refused_with_the_way_to_get_them(hub, small, locate):
    hub.repositories["org/small"].gated = True
    assert f"it is gated; accept its terms at {hub.endpoint}/org/small" in locate("org/small")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("pytorch_model.bin", "UnsafeWeightsError: org/odd@main holds a pickle only (pytorch_model.bin)"),
        ("model.safetensors", "WeightsUnavailableError: org/odd@main has weights but no config.json"),
    ],
)
def test_a_repository_that_is_no_model_is_refused_and_not_fetched(hub, locate, file, message):
    hub.repositories["org/odd"] = Repository({COMMIT: {file: b"{}"}}, {"main": COMMIT})
    assert locate("org/odd").startswith(message)
    assert not hub.content_requests()


def test_a_connection_that_breaks_once_is_taken_up_where_it_broke(hub, large, locate):
    hub.broken["model.safetensors"] = [CUT]
    found = locate("org/large")
    assert (found.folder / "model.safetensors").read_bytes() == large
    deliveries = [one for one in hub.transfers("model.safetensors") if one.path.startswith("/delivery/")]
    assert [one.range for one in deliveries] == [None, f"bytes={10 * 2**20}-"]


def test_a_connection_that_stays_broken_ends_with_one_sentence_and_nothing_half_done(hub, small, tmp_path):
    """The Hub's client keeps no half file for the next process: the file starts anew, whole ones are not asked for."""
    hub.broken["model.safetensors"] = [1000] * 50
    asked = "spectra", f"org/small@{COMMIT}"
    last = invoke(*asked, code=2).output.strip().splitlines()[-1]
    assert last.startswith(f"org/small@{COMMIT}: the download from the Hugging Face Hub broke off (")
    assert last.endswith("; try again: files that arrived whole are kept")
    assert not [path for path in tmp_path.rglob("*incomplete*") if path.is_file()]
    hub.broken.clear()
    hub.log.clear()
    invoke(*asked, "--csv", tmp_path / "table.csv", code=0)
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1 + 26
    fetched = {Path(one.path).name for one in hub.content_requests()}
    assert fetched == {"model.safetensors", "config.json"}, "the tokenizer had arrived"


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_file_is_removed_and_never_used(hub, small, locate, name):
    hub.damaged.add(name)
    for _ in range(2):
        line = locate("org/small")
        assert line.startswith(f"UnsafeWeightsError: org/small@main: {name} has the checksum ")
        assert "damaged and was removed, so try again" in line
    hub.damaged.clear()
    hub.log.clear()
    found = locate("org/small")
    assert read_folder(found.folder)[name] == small[name]
    assert hub.transfers(name)


def die_before_the_check(endpoint, folder):
    ask_hub(endpoint, folder)
    client._check = lambda *_: os._exit(9)


def test_a_run_that_is_killed_before_the_check_leaves_nothing_that_counts_as_checked(hub, small, locate, tmp_path):
    hub.damaged.add("model.safetensors")
    asked = f"org/small@{COMMIT}"
    prepare = partial(die_before_the_check, hub.endpoint, tmp_path / "hf")
    run_program("stance-suite", "spectra", asked, cwd=tmp_path, prepare=prepare, code=9)
    assert "model.safetensors has the checksum" in locate(asked)


@pytest.mark.parametrize(
    ("hanging", "message"),
    [("api", "is not in the local Hub cache, and .* cannot be reached"), ("delivery", "the download .* broke off")],
)
def test_a_hub_that_hangs_is_given_up_on(hub, small, locate, hanging, message, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    hub.hangs.add(hanging)
    assert re.match(rf"WeightsUnavailableError: org/small@main.* {message} \(\w*Timeout", locate("org/small"))


def test_the_environment_names_the_hub_and_the_folder_of_its_files(hub, small, tmp_path):
    """In a process of its own: the Hub's client reads both when it is imported."""
    fetch = (
        "import sys; from stance_suite.models.hub import download; from stance_suite.schema.stances import HubSource; "
        "download(HubSource(kind='hub', repository='org/small', revision='main'))"
    )
    named = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", fetch], env=os.environ | named, check=True)
    assert hub.transfers("model.safetensors")
    assert list((tmp_path / "home").rglob("model.safetensors"))
