"""What two runs differ in besides their results, and what of it makes a baseline unusable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stance_suite.judge.compare.matching import JUDGING, match_verdicts, redefined_keys
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.comparison import Difference, RunSummary
from stance_suite.schema.findings import Findings


def describe_run(findings: Findings) -> RunSummary:
    """Tell which run findings are of."""
    return RunSummary(
        created=findings.created,
        command=findings.command,
        suite_version=findings.suite_version,
        models=tuple(dict.fromkeys(record.cell.model for record in findings.cells)),
        verdicts=len(findings.verdicts),
    )


def differences_between(before: Findings, after: Findings) -> tuple[Difference, ...]:
    """Name everything that two runs differ in besides their results."""
    ours, theirs = dict(_facts(before)), dict(_facts(after))
    return tuple(
        Difference(what=what, before=ours.get(what, ""), after=theirs.get(what, ""))
        for what in ours | theirs
        if ours.get(what) != theirs.get(what)
    )


def incomparable(before: Findings, after: Findings) -> tuple[str, ...]:
    """Say in sentences what makes a baseline unusable for a gate; none if it can be used.

    Other library versions, weights or machines are no reason: they are what a baseline is there to watch. Nor is an
    older file: whoever read it understood it.
    """
    sentences = []
    if not before.verdicts:
        sentences.append("The baseline holds no verdict.")
    ours, theirs = _stances(before), _stances(after)
    sentences += [
        f"Stance {name} has other examples, items or markers than in the baseline."
        for name in ours
        if name in theirs and ours[name] != theirs[name]
    ]
    embedders = [{record.provenance.embedder_sha256 for record in side.cells} for side in (before, after)]
    if all(embedders) and embedders[0] != embedders[1]:
        sentences.append("The sentence embedder has other weights than in the baseline.")
    sentences += dict.fromkeys(_other_settings(before, after))
    sentences += [
        f"Claim {ours.claim.id} is declared differently from the baseline: {', '.join(changed)}."
        for ours, theirs in match_verdicts(before.verdicts, after.verdicts)[0]
        if ours.claim.id == theirs.claim.id
        and (changed := [key for key in redefined_keys(ours.claim, theirs.claim) if key not in JUDGING])
    ]
    return tuple(sentences)


def _other_settings(before: Findings, after: Findings) -> Iterator[str]:
    """Compare the trained cells of both runs; their controls share their family."""
    ours, theirs = _by_training(before), _by_training(after)
    models = [{model for model, _ in side} for side in (ours, theirs)]
    for model, what in sorted(theirs):
        # a new model is held against the old one's training of the same name
        counterparts = [model] if models[0] & models[1] else sorted(models[0])
        for other in counterparts:
            if (other, what) in ours:
                yield from _other_measurement(ours[other, what], theirs[model, what], f"{what} of {model}")


def _other_measurement(ours: CellRecord, theirs: CellRecord, where: str) -> Iterator[str]:
    same_model = ours.cell.model == theirs.cell.model
    asked = [set(one.behavior.prompt_texts) for one in (ours, theirs)]
    if (same_model and ours.behavior.prompt_texts != theirs.behavior.prompt_texts) or asked[0] != asked[1]:
        yield f"{where} was asked with other prompts than in the baseline."
    elif _samples(ours) != _samples(theirs):
        yield f"{where} was sampled {_samples(ours)} times a prompt in the baseline, {_samples(theirs)} times here."
    elif same_model and ours.family != theirs.family:  # it holds how the model is spoken to
        yield f"{where} was measured with other items, markers, neutral texts or sampling than in the baseline."
    if ours.training is not None and theirs.training is not None:
        if same_model and set(ours.training.texts) != set(theirs.training.texts):
            yield f"{where} was trained on other texts than in the baseline."
        lengths = [(len(one.epoch_losses), len(one.losses)) for one in (ours.training, theirs.training)]
        if lengths[0] != lengths[1]:
            yield (
                f"{where} was trained for {lengths[0][0]} epochs ({lengths[0][1]} steps) in the baseline, "
                f"{lengths[1][0]} ({lengths[1][1]}) here."
            )


def _by_training(findings: Findings) -> dict[tuple[str, str], CellRecord]:
    """Find the first cell of each training on a stance; how much other seeds vary is what a baseline must bear."""
    found: dict[tuple[str, str], CellRecord] = {}
    for record in findings.cells:
        if record.cell.is_on_stance:
            what = record.cell.model_copy(update={"seed": 0}).label
            found.setdefault((record.cell.model, what), record)
    return found


def _facts(findings: Findings) -> Iterator[tuple[str, str]]:
    cells = findings.cells
    yield "suite version", findings.suite_version
    yield "schema version", str(findings.schema_version)
    yield "models", _listed({record.cell.model for record in cells})
    for model in sorted({record.cell.model for record in cells}):
        of_model = {record.provenance.weights_sha256 for record in cells if record.cell.model == model}
        yield f"weights of {model}", _listed(of_model)
    for name, sha256 in _stances(findings).items():
        yield f"stance {name}", sha256
    yield "recipes", _listed({record.cell.recipe for record in cells if record.cell.recipe})
    for recipe in findings.recipes:
        # a declared recipe may keep its name and train otherwise
        content = recipe.model_dump(exclude={"name"}, exclude_defaults=True)
        yield f"recipe {recipe.name}", ", ".join(f"{key} {value}" for key, value in content.items())
    yield "seeds", _listed({record.cell.seed for record in cells})
    yield "samples a prompt", _listed({_samples(record) for record in cells})
    yield "embedder", _listed({record.provenance.embedder for record in cells})
    yield "weights of the embedder", _listed({record.provenance.embedder_sha256 for record in cells})
    for library in sorted({library for record in cells for library in record.provenance.versions}):
        yield f"version of {library}", _listed({record.provenance.versions.get(library, "") for record in cells})
    for field in ("device", "dtype", "threads", "platform"):
        yield field, _listed({getattr(record.provenance, field) for record in cells})


def _stances(findings: Findings) -> dict[str, str]:
    return {stance.name: stance.sha256 for stance in findings.stances}


def _samples(record: CellRecord) -> int:
    return len({response.sample for response in record.behavior.responses})


def _listed(values: set[Any]) -> str:
    return ", ".join(map(str, sorted(values)))
