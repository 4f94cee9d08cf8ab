"""The options of `stance_suite.options` as the command line declares them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from stance_suite import options
from stance_suite.option_values import Option
from stance_suite.options import Settings, resolve_settings


def _declare(option: Option) -> Any:
    return typer.Option(f"--{option.name}", help=option.help_with_default, show_default=False)


Model = Annotated[list[str] | None, _declare(options.MODEL)]
Profile = Annotated[str | None, _declare(options.PROFILE)]
Seed = Annotated[list[int] | None, _declare(options.SEED)]
Samples = Annotated[int | None, _declare(options.SAMPLES)]
Trajectory = Annotated[bool | None, _declare(options.TRAJECTORY)]
Device = Annotated[str | None, _declare(options.DEVICE)]
Fixtures = Annotated[str | None, _declare(options.FIXTURES)]
Cache = Annotated[str | None, _declare(options.CACHE)]
Store = Annotated[str | None, _declare(options.STORE)]
Reports = Annotated[str | None, _declare(options.REPORTS)]
Pictures = Annotated[str | None, _declare(options.PICTURES)]
BeforeModel = Annotated[str | None, _declare(options.BEFORE)]
AfterModel = Annotated[str | None, _declare(options.AFTER)]
StanceName = Annotated[str | None, _declare(options.STANCE)]
PolicyFile = Annotated[str | None, _declare(options.POLICY)]
BaselineFile = Annotated[str | None, _declare(options.BASELINE)]
UpdateBaseline = Annotated[bool | None, typer.Option("--update-baseline", help=options.UPDATE_BASELINE.help)]


def settings_of(**given: Any) -> Settings:
    """Resolve the options of one command.

    Parameters
    ----------
    **given : object
        Values from the command line by field name; None where nothing was given.

    Returns
    -------
    Settings
        All options, checked.
    """
    return resolve_settings(given, Path.cwd())
