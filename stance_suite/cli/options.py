"""The options of `stance_suite.config.options` on the command line: what a command takes, and its settings resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from stance_suite.config import options
from stance_suite.config.options import Option, resolve_settings

FindingsFile = Annotated[Path, typer.Argument(help="A findings.json.")]


def takes_settings(
    command: str,
    *,
    first: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command take the options that are declared for it, and give it what they resolve to as `settings`.

    The options stand in its help where `settings` stands among its parameters, those named as `first` before the
    others. What `arguments` names is no option, but a required argument. What is fixed is not asked for.
    """
    required = arguments or {}

    def declare(function: Callable[..., None]) -> Callable[..., None]:
        taken = [option for option in options.OPTIONS if command in option.commands and option.field not in required]
        taken.sort(key=lambda option: first.index(option.field) if option.field in first else len(first))

        @wraps(function)
        def call(**given: Any) -> None:
            mine = {name: given.pop(name) for name in [*required, *(option.field for option in taken)]}
            function(settings=resolve_settings(mine | dict(fixed or {}), Path.cwd()), **given)

        def parameters() -> Iterator[Parameter]:
            for name, parameter in signature(function, eval_str=True).parameters.items():
                if name != "settings":
                    yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
                    continue
                for field, annotation in required.items():
                    yield Parameter(field, Parameter.KEYWORD_ONLY, annotation=annotation)
                for option in taken:
                    yield Parameter(option.field, Parameter.KEYWORD_ONLY, default=None, annotation=_annotate(option))

        vars(call)["__signature__"] = signature(function).replace(parameters=list(parameters()), return_annotation=None)
        call.__annotations__ = {}  # typer would look up what the function's own say
        return call

    return declare


def _annotate(option: Option) -> Any:
    values: Any = list[option.value_type] if option.is_repeatable else option.value_type  # type: ignore[name-defined]
    shown = typer.Option(f"--{option.name}", help=escape(option.help_with_default), show_default=False)
    return Annotated[values | None, shown]
