"""What can be told before anything is trained: layers that a model lacks, and memory that a machine lacks."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product

from stance_suite.agenda import Agenda
from stance_suite.checkpoints import open_checkpoint
from stance_suite.errors import SpecError, SpecProblem, nearest_names
from stance_suite.estimates import available_memory, check_memory, check_memory_of_workers, memory_for_workers
from stance_suite.loading import loaded_names
from stance_suite.metrics import Metric
from stance_suite.options import Pair
from stance_suite.spectra.matrices import sort_tensors
from stance_suite.workbench import Workbench

BASE_MODEL_PREFIXES = ("", "model.", "transformer.", "gpt_neox.")
"""What the names of a checkpoint may lack of the loaded model's names, if it was saved without its head."""


def refuse_missing_layers(agenda: Agenda, workbench: Workbench, pair: Pair | None) -> None:
    """Refuse claims about layers that their model lacks."""
    problems = [
        problem
        for model in agenda.models
        for problem in _missing_layers(agenda, workbench, model, model if pair is None else pair.before)
    ]
    if problems:
        raise SpecError(problems)


def refuse_too_little_memory(agenda: Agenda, workbench: Workbench, workers: int) -> None:
    """Refuse a run whose cells that are not in the store need more memory than this machine has."""
    asked = product(agenda.models, agenda.stances, agenda.recipes, agenda.seeds)
    planned = {plan.key: plan for training in asked for plan in workbench.plan_training(*training)}
    missing = [plan for key, plan in planned.items() if not workbench.store.has(key)]
    check_memory(missing, workbench.device, available_memory())
    if workers > 1:
        check_memory_of_workers(missing, workbench.device, memory_for_workers(running=workers), workers)


def _missing_layers(agenda: Agenda, workbench: Workbench, model: str, base: str) -> Iterator[SpecProblem]:
    weights = workbench.weights(base)
    tensors = sort_tensors(open_checkpoint(weights.folder))
    for declared in agenda.declared:
        claim = declared.claim
        if claim.model != model or claim.layer is None:
            continue
        names = tensors.vectors if claim.metric is Metric.VECTOR_CHANGE_PERCENT else tensors.matrices
        if any(fnmatchcase(prefix + name, claim.layer) for name in names for prefix in BASE_MODEL_PREFIXES):
            continue
        # a file may call a layer otherwise than the loaded model does, as GPT-NeoX's head
        if not any(fnmatchcase(name, claim.layer) for name in loaded_names(weights)):
            message = f"{model} has no layer {claim.layer!r}; {nearest_names(claim.layer, names)}"
            yield declared.problem("layer", message)
