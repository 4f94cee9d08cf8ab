"""What docs/sweeps.md and the recipes for Slurm and Kubernetes tell to write exists in this version."""

import functools
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from stance_suite.cli.app import app
from stance_suite.config import options
from stance_suite.config.sweep_file import load_sweep
from stance_suite.schema.recipes import Sweep
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "sweeps.md").read_text("utf-8")
BATCH = (DOCS / "slurm" / "sweep.sbatch").read_text("utf-8")
DOCKERFILE = (DOCS / "kuberay" / "Dockerfile").read_text("utf-8")
MANIFEST_TEXT = (DOCS / "kuberay" / "sweep.yaml").read_text("utf-8")
MANIFEST = {document["kind"]: document for document in yaml.safe_load_all(MANIFEST_TEXT)}
JOB = MANIFEST["RayJob"]["spec"]
CLUSTER = JOB["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
EXAMPLES = {
    "docs/sweeps.md": re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1],
    "docs/kuberay/sweep.yaml": MANIFEST["ConfigMap"]["data"]["sweep.yaml"],
}
TEXTS = {
    "docs/sweeps.md": PAGE,
    "docs/slurm/sweep.sbatch": BATCH,
    "docs/kuberay/sweep.yaml": MANIFEST_TEXT,
    "docs/kuberay/Dockerfile": DOCKERFILE,
}

OF_SLURM = {"SLURM_JOB_ID", "SLURM_JOB_NODELIST", "SLURM_CPUS_ON_NODE", "SLURM_RESTART_COUNT"}
"""Source: https://slurm.schedmd.com/sbatch.html."""
FIELDS = {
    "job": {
        *("backoffLimit", "entrypoint", "rayClusterSpec", "shutdownAfterJobFinishes", "submissionMode"),
        "ttlSecondsAfterFinished",
    },
    "cluster": {"authOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs"},
    "head": {"enableIngress", "rayStartParams", "serviceType", "template"},
    "workers": {"groupName", "maxReplicas", "minReplicas", "rayStartParams", "replicas", "template"},
}
"""Fields of ray.io/v1 that are in use. Source: https://ray-project.github.io/kuberay/reference/api/"""


def commands(text: str) -> list[list[str]]:
    """Every call of stance-suite in a text, as a shell would split it; of a page, those in code only."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [
        shlex.split(re.split(r" &$|\s{2,}#", found)[0])
        for line in joined.splitlines()
        for found in re.findall(r"^(?:[# ]*)(stance-suite [a-z].*?)$|`(stance-suite [a-z][^`]*)`", line)
        for found in found
        if found
    ]


def options_of(*words: str) -> set[str]:
    """The options of a command, which may be in a group; words after its name are its arguments."""
    command, remaining = typer.main.get_command(app), list(words)
    while hasattr(command, "commands"):
        name = remaining.pop(0)
        assert name in command.commands, f"there is no command {' '.join(words)}"
        command = command.commands[name]
    return {option for parameter in command.params for option in parameter.opts}


@functools.cache
def sources(package: str) -> str:
    """All Python of an installed package, in which the environment variables that it reads are named."""
    found = importlib.util.find_spec(package)
    if found is None:
        pytest.skip(f"{package} is not installed")
    return "\n".join(path.read_text("utf-8") for path in Path(found.origin).parent.rglob("*.py"))


class TestSweeps:
    @pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
    def test_examples_are_sweeps(self, example, tmp_path, library):
        (tmp_path / "sweep.yaml").write_text(example)
        load_sweep(tmp_path / "sweep.yaml", library)

    def test_every_key_is_in_the_example_and_explained(self):
        assert set(yaml.safe_load(EXAMPLES["docs/sweeps.md"])) == set(Sweep.model_fields)
        table = PAGE.split("## What it will take")[0]
        assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(Sweep.model_fields)


class TestCommands:
    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
    def test_have_the_options_that_they_are_given(self, text):
        for _, *words in [*commands(text), JOB["entrypoint"].split()]:
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options_of(*words)

    def test_are_found_and_options_that_are_named_alone_exist(self):
        assert [command for _, command, *_ in commands(PAGE)].count("sweep") >= 5
        assert {"--engine", "--cache", "--store"} <= set(commands(BATCH)[-1])
        assert not options_of("sweep") & {"--model", "--profile", "--seed", "--samples", "--trajectory"}
        named = set(re.findall(r"`(--[\w-]+)", PAGE))
        assert {"--workers", "--store", "--dry-run"} <= named <= options_of("sweep") | options_of("run")

    def test_ray_start_has_the_options_that_it_is_given(self):
        pytest.importorskip("ray")
        from ray.scripts.scripts import start

        known = {name for parameter in start.params for name in (*parameter.opts, *parameter.secondary_opts)}
        for text in (PAGE, BATCH):
            joined = re.sub(r"\\\n\s*", "", text)
            calls = re.findall(r"\bray start (--.*)|^\s*start_ray (.*)", joined, re.MULTILINE)
            given = set(re.findall(r"--[a-z][\w-]*", " ".join(map(" ".join, calls))))
            assert {"--head", "--address", "--node-ip-address"} <= given <= known
        assert {f"--{name}" for group in GROUPS for name in group["rayStartParams"]} <= known


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
class TestEnvironment:
    def test_of_stance_suite_and_of_slurm_exists(self, text):
        known = {option.environment_variable for option in options.OPTIONS} | OF_SLURM
        assert set(re.findall(r"\b(?:STANCE_SUITE|SLURM)_[A-Z_]+", text)) <= known

    @pytest.mark.parametrize(("prefix", "package"), [("RAY", "ray"), ("AWS", "botocore")])
    def test_of_libraries_exists(self, text, prefix, package):
        # botocore makes the name of the endpoint's variable from parts
        named = set(re.findall(rf"\b{prefix}_[A-Z_]+", text)) - {"AWS_ENDPOINT_URL"}
        source = sources(package) if named else ""
        assert not {name for name in named if name not in source}


class TestSlurm:
    def test_asks_before_the_first_command_to_be_told_of_the_end_and_is_queued_again(self):
        lines = BATCH.splitlines()
        asked = [place for place, line in enumerate(lines) if line.startswith("#SBATCH ")]
        first = next(place for place, line in enumerate(lines) if line and not line.startswith("#"))
        assert max(asked) < first, "Slurm reads none after the first command"
        for line in ("#SBATCH --signal=B:TERM@", "#SBATCH --requeue", 'scontrol requeue "$SLURM_JOB_ID"'):
            assert line in BATCH


class TestKubernetes:
    def test_has_fields_that_kuberay_documents(self):
        assert MANIFEST["RayJob"]["apiVersion"] == "ray.io/v1"
        assert set(JOB) <= FIELDS["job"]
        assert set(CLUSTER) <= FIELDS["cluster"]
        assert set(GROUPS[0]) <= FIELDS["head"]
        assert all(set(group) <= FIELDS["workers"] for group in GROUPS[1:])
        assert JOB["submissionMode"] in ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
        values = [value for group in GROUPS for value in group["rayStartParams"].values()]
        assert all(isinstance(value, str) for value in values), "KubeRay refuses others"

    def test_runs_the_ray_that_is_in_the_image(self):
        assert f"ray[default]=={CLUSTER['rayVersion']}" in DOCKERFILE

    def test_runs_without_rights_that_it_does_not_need_and_takes_secrets_from_a_secret(self):
        for pod in (group["template"]["spec"] for group in GROUPS):
            (container,) = pod["containers"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["automountServiceAccountToken"] is False
            rights = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            assert container["securityContext"] == rights
            assert container["resources"]["limits"].keys() == {"cpu", "memory"}
            secret = [entry for entry in container["env"] if re.search(r"KEY|TOKEN|SECRET", entry["name"])]
            assert ["secretKeyRef" in entry.get("valueFrom", ()) for entry in secret] == [True, True]

    def test_lets_nobody_else_reach_its_pods(self):
        head = CLUSTER["headGroupSpec"]
        assert (head["serviceType"], head["enableIngress"]) == ("ClusterIP", False)
        assert CLUSTER["authOptions"] == {"mode": "token"}
        chosen = MANIFEST["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items()
        assert all(group["template"]["metadata"]["labels"].items() >= chosen for group in GROUPS)

    def test_mounts_what_it_declares(self):
        pod = CLUSTER["headGroupSpec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounted = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
        assert volumes.keys() == mounted.keys()
        assert volumes["sweep"]["configMap"]["name"] == MANIFEST["ConfigMap"]["metadata"]["name"]
        claim = MANIFEST["PersistentVolumeClaim"]["metadata"]["name"]
        assert volumes["reports"]["persistentVolumeClaim"]["claimName"] == claim
        arguments = JOB["entrypoint"].split()
        assert f"{mounted['sweep']}/sweep.yaml" in arguments
        assert arguments[arguments.index("--reports") + 1] == mounted["reports"]
