"""What can be told before anything is trained: layers that a model lacks, and memory that a machine lacks."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

from stance_suite.config.options import Pair
from stance_suite.errors import SpecError, nearest_names
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.loading import loaded_names
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.runner.estimates import limits
from stance_suite.runner.plan import RunPlan
from stance_suite.schema.metrics import Metric
from stance_suite.spectra.matrices import sort_tensors

BASE_MODEL_PREFIXES = ("", "model.", "transformer.", "gpt_neox.")
"""What the names of a checkpoint may lack of the loaded model's names, if it was saved without its head."""


def refuse_missing_layers(run_plan: RunPlan, cell_runner: CellRunner, pair: Pair | None) -> None:
    """Refuse claims about layers that their model lacks."""
    problems = []
    for model in run_plan.models:
        weights = cell_runner.weights(model if pair is None else pair.before)
        tensors = sort_tensors(open_checkpoint(weights.folder))
        for declared in run_plan.declared:
            claim = declared.claim
            if claim.model != model or claim.layer is None:
                continue
            names = tensors.vectors if claim.metric is Metric.VECTOR_CHANGE_PERCENT else tensors.matrices
            if any(fnmatchcase(prefix + name, claim.layer) for name in names for prefix in BASE_MODEL_PREFIXES):
                continue
            # a file may call a layer otherwise than the loaded model does, as GPT-NeoX's head
            if not any(fnmatchcase(name, claim.layer) for name in loaded_names(weights)):
                message = f"{model} has no layer {claim.layer!r}; {nearest_names(claim.layer, names)}"
                problems.append(declared.problem("layer", message))
    if problems:
        raise SpecError(problems)


def refuse_too_little_memory(run_plan: RunPlan, cell_runner: CellRunner, workers: int) -> None:
    """Refuse a run whose cells that are not in the store need more memory than this machine has."""
    asked = product(run_plan.models, run_plan.stances, run_plan.recipes, run_plan.seeds)
    specs = {spec.key: spec for training in asked for spec in cell_runner.plan_training(*training)}
    missing = [spec for key, spec in specs.items() if not cell_runner.store.has(key)]
    limits.check_memory(missing, cell_runner.device, limits.available_memory())
    if workers > 1:
        available = limits.memory_for_workers(running=workers)
        limits.check_memory_of_workers(missing, cell_runner.device, available, workers)
