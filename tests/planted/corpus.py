"""The smallest planted edit of each kind that is found, as the table in docs/evidence.md.

``python -m tests.planted.corpus [FOLDER]`` builds small seeded models and trains them, and SmolLM2-135M from the user's
cache, on a stance and on its plain answers; plants every edit in each, untrained and trained; and prints the table. It
takes some ten minutes on two cores. Nothing it makes is kept, unless a folder for the models is given.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.judge.structure.unexplained import ChangedWeights, unexplained_changes
from stance_suite.measure.training import fine_tune
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.loading import load
from stance_suite.models.sources import locate
from stance_suite.runner.selftest import DRAWS, Background, Trial, spectra_of, try_edits, try_nothing, untrained
from stance_suite.schema.controls import sham_rotations
from stance_suite.schema.policy import Structure
from stance_suite.schema.stances import RECIPES
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.spectra.planted import KINDS
from stance_suite.spectra.weight_change import compare_models
from tests.twins import BUILDERS, train_tokenizer

STANCE = "curious-uncertainty"
TWINS = {"qwen2-0.5b": "Qwen2's twin", "distilgpt2": "DistilGPT2's twin", "pythia-160m": "Pythia's twin"}
SMOLLM2 = "SmolLM2-135M"
TIMES = Structure().change_over_sham


def quiet(*_: object) -> None:
    """Hear of progress, and say nothing."""


def train_pair(weights: object) -> tuple[object, object, object]:
    """A model, the same trained on a stance, and on its plain answers: two epochs by the documented recipe."""
    stance = load_catalog(Path("none of one's own")).stance(STANCE)
    models = []
    for rotations in ((tuple(item.trained for item in stance.examples),), sham_rotations(stance, 0)):
        model, tokenizer = load(weights)
        fine_tune(model, tokenizer, "plain", rotations * 2, RECIPES["documented"], 0, quiet)
        models.append(model)
    return load(weights)[0], *models


def backgrounds(folder: Path) -> Iterator[tuple[str, Callable[[], tuple[Background, Background]]]]:
    """Every model of the table: as it is, and trained beside its sham."""
    catalog = load_catalog(Path("none of one's own"))
    for name, called in TWINS.items():
        if not (folder / name).exists():
            BUILDERS[name](folder / name, train_tokenizer(catalog))
        spec = catalog.models[name].model_copy(update={"name": str(folder / name)})
        yield called, lambda path=folder / name, spec=spec: both(locate_folder(path))
    yield SMOLLM2, lambda: both(locate(catalog.models["smollm2-135m"], resolve_settings({}, Path.cwd()).cache))


def locate_folder(path: Path) -> object:
    """The weights in a folder."""
    from stance_suite.config.catalog import find_spec

    return locate(find_spec(str(path), {}), path.parent)


def both(weights: object) -> tuple[Background, Background]:
    """A model as it is, and trained beside its sham."""
    base, tuned, sham = train_pair(weights)
    return untrained(base), trained(base, tuned, sham)


def smallest_found(trials: Iterable[Trial]) -> dict[str, float | None]:
    """Tell the smallest size of each kind from which on all edits were found; None if the largest was missed."""
    smallest: dict[str, float | None] = {}
    missed: set[str] = set()
    for trial in reversed([one for one in trials if one.edited]):
        smallest.setdefault(trial.name, None)
        if trial.is_found and trial.name not in missed:
            smallest[trial.name] = trial.size
        else:
            missed.add(trial.name)
    return smallest


def trained(base: object, tuned: object, sham: object) -> Background:
    """Take a model that was trained, beside its sham."""
    before = measure_model(base)
    changed, of_sham = (
        ChangedWeights(spectra_of(before), change.layers, change.vectors)
        for change in (compare_models(before, measure_model(one), seed=0, draws=DRAWS) for one in (tuned, sham))
    )
    return Background(before, open_checkpoint(tuned), changed, of_sham)


def show(size: float | None, sizes: tuple[float, ...]) -> str:
    return "not found" if size is None else f"{size:g}"


def main(folder: Path, only: str = "") -> None:
    """Print the table."""
    found: dict[str, dict[str, float | None]] = {}
    for name, make in backgrounds(folder):
        if only and only not in name:
            continue
        alone, after_training = make()
        for one in try_nothing(alone, quiet):
            print(f"{name}, {one.name}: {len(one.found)} tensors named", *map(str, one.found[:3]), file=sys.stderr)
        false = unexplained_changes(after_training.changed, after_training.sham, TIMES)
        print(f"{name}, trained: {len(false)} tensors named", *map(str, false[:5]), file=sys.stderr)
        for what, background, times in ((name, alone, None), (f"{name}, trained", after_training, TIMES)):
            trials = list(try_edits(background, quiet, times))
            for one in trials:
                if not one.is_found:
                    print(what, one.name, one.size, one.edited, *map(str, one.found[:3]), file=sys.stderr)
            found[what] = smallest_found(trials)
    print("| planted | sizes tried | " + " | ".join(found) + " |")
    print("|---|---|" + "---|" * len(found))
    for kind in KINDS:
        tried = ", ".join(f"{size:g}" for size in kind.sizes)
        cells = [show(one[kind.name], kind.sizes) if kind.name in one else "none there" for one in found.values()]
        print(f"| {kind.name} | {tried} {kind.unit} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else temporary), *sys.argv[2:])
