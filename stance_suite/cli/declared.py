"""The commands about what is declared: whether it is valid, what there is, and a first stance of one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from stance_suite.cli.console import print_framed_table
from stance_suite.cli.options import takes_settings
from stance_suite.config.options import Settings
from stance_suite.errors import StanceSuiteError
from stance_suite.files import cannot_write, create_atomically
from stance_suite.schema.items import RUN
from stance_suite.schema.stances import NAME_PATTERN


@takes_settings("validate")
def validate(settings: Settings) -> None:
    """Check every YAML file, without loading a model; names file, line, key and the way out."""
    from stance_suite.config.catalog import load_catalog

    catalog = load_catalog(settings.fixtures)
    counts = f"{len(catalog.stances)} stances, {len(catalog.models)} models, {len(catalog.claims)} claims"
    print(f"{len(catalog.files)} files are valid: {counts}.")
    for name in catalog.suite:
        stance = catalog.stance(name)
        words, shared = stance.shared_with_training
        print(
            f"{name}: {len(stance.held_out)} held-out items; of {len(words)} content words {len(shared)} stand in the "
            f"training's answers, and no run of {RUN} words does."
        )


@takes_settings("list")
def list_everything(settings: Settings) -> None:
    """List the stances, models, recipes and claims that are declared."""
    from stance_suite.config.catalog import load_catalog

    catalog = load_catalog(settings.fixtures)
    rows = [("stance", stance.name, stance.description) for stance in catalog.stances.values()]
    rows += [("model", model.name, model.description) for model in catalog.models.values()]
    rows += [("recipe", recipe.name, f"{recipe.epochs} epochs") for recipe in catalog.recipes.values()]
    rows += [("claim", declared.claim.id, declared.claim.statement) for declared in catalog.claims]
    print_framed_table(("kind", "name", "description"), rows)


@takes_settings("init")
def init(
    name: Annotated[str, typer.Argument(help="What the stance is called.", metavar="[NAME]")] = "pirate",
    *,
    settings: Settings,
) -> None:
    """Write a first stance, two claims about it and their test, which are valid as they are; nothing is overwritten."""
    from stance_suite.config.catalog import bundled_fixtures, load_catalog

    if not re.fullmatch(NAME_PATTERN, name):
        raise StanceSuiteError(f"{name!r} is no name of a stance: write it in lower case and with dashes, as wry-humor")
    scaffold = bundled_fixtures() / "scaffold"
    files = {
        settings.fixtures / "stances" / f"{name}.yaml": scaffold / "stance.yaml",
        settings.fixtures / "claims" / f"{name}.yaml": scaffold / "claims.yaml",
        Path(f"test_{re.sub('[^a-z0-9]', '_', name)}.py"): scaffold / "test.py.txt",
    }
    for path in files:
        if path.exists():
            raise StanceSuiteError(f"{path} is there already; choose another name, or remove it")
    for path, template in files.items():
        try:
            create_atomically(path, template.read_text("utf-8").replace("NAME", name).encode())
        except OSError as error:
            raise cannot_write(path, error) from None
        print(f"wrote {path}")
    load_catalog(settings.fixtures)
    print("Next: stance-suite validate, and pytest --stance-model MODEL")
