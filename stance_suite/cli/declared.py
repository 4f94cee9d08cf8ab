"""The commands about what is declared: whether it is valid, and what there is."""

from __future__ import annotations

from stance_suite.cli.console import print_framed_table
from stance_suite.cli.options import takes_settings
from stance_suite.config.options import Settings


@takes_settings("validate")
def validate(settings: Settings) -> None:
    """Check every YAML file, without loading a model; names file, line, key and the way out."""
    from stance_suite.config.catalog import load_catalog

    catalog = load_catalog(settings.fixtures)
    counts = f"{len(catalog.stances)} stances, {len(catalog.models)} models, {len(catalog.claims)} claims"
    print(f"{len(catalog.files)} files are valid: {counts}.")


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
