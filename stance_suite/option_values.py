"""One option, whatever it is about: how it is named in each place, and whether a value is allowed.

Standard library only: this module is imported whenever pytest starts.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stance_suite.errors import StanceSuiteError


@dataclass(frozen=True)
class Option:
    """One option, wherever it is given."""

    name: str
    """Name without prefix; ``--stance-<name>`` in pytest, ``--<name>`` on the command line."""
    help: str
    """What it does, with the allowed values."""
    default: Any
    """Value when nobody says anything."""
    choices: tuple[str, ...] = ()
    """Allowed values, if they are few."""
    repeatable: bool = False
    """Whether it may be given several times."""
    smallest: int = 0
    """Smallest allowed value, of a number."""

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off, and takes no value on the command line."""
        return isinstance(self.default, bool)

    @property
    def environment_variable(self) -> str:
        """Name of the environment variable that sets it."""
        return f"STANCE_SUITE_{self.name.upper().replace('-', '_')}"

    @property
    def help_with_default(self) -> str:
        """The help text, ending with the default."""
        default = ", ".join(map(str, self.default)) if self.repeatable else self.default
        return self.help if default in ("", False) else f"{self.help} Default: {default}."

    @property
    def field(self) -> str:
        """Name of the field in `Settings`."""
        return self.name.replace("-", "_")


def check_value(option: Option, value: Any, origin: str) -> Any:
    """Check a value, and give it its type.

    Parameters
    ----------
    option : Option
        The option.
    value : object
        As it was given: text, or what TOML knows.
    origin : str
        Where it was given.

    Returns
    -------
    object
        A text, a number, a truth value or a tuple of such.

    Raises
    ------
    StanceSuiteError
        If it is not allowed; the message names its origin.
    """
    if option.repeatable:
        return _check_list(option, value, origin)
    if option.is_switch:
        known = {"true": True, "1": True, "false": False, "0": False}
        if str(value).lower() not in known:
            raise StanceSuiteError(f"{origin}: {value!r} is neither true nor false")
        return known[str(value).lower()]
    if isinstance(option.default, int):
        return _check_number(option, value, origin)
    if option.choices and value not in (*option.choices, option.default):
        raise StanceSuiteError(f"{origin}: {value!r} is not one of {', '.join(option.choices)}")
    return str(value)


def _check_list(option: Option, value: Any, origin: str) -> tuple[Any, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed:
        raise StanceSuiteError(f"{origin}: the list is empty; name at least one, or leave the option out")
    if isinstance(option.default[0], int):
        return tuple(dict.fromkeys(_check_number(option, entry, origin) for entry in listed))
    if not all(isinstance(entry, str) for entry in listed):
        raise StanceSuiteError(f"{origin}: {value!r} is neither a name nor a list of names")
    return tuple(dict.fromkeys(listed))


def _check_number(option: Option, value: Any, origin: str) -> int:
    if not str(value).isdecimal() or int(value) < option.smallest:
        raise StanceSuiteError(f"{origin}: {value!r} is no whole number from {option.smallest} up")
    return int(value)


def read_pyproject(path: Path, names: Collection[str]) -> Mapping[str, Any]:
    """Read what a project has configured.

    Parameters
    ----------
    path : Path
        Its pyproject.toml, which need not exist.
    names : collection of str
        Names of the options there are.

    Returns
    -------
    mapping of str to object
        Values by the option's name, unchecked.

    Raises
    ------
    StanceSuiteError
        If there is no such option.
    """
    if not path.is_file():
        return {}
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("stance-suite", {})
    except tomllib.TOMLDecodeError as error:
        raise StanceSuiteError(f"{path}: {error}") from None
    unknown = set(table) - set(names)
    if unknown:
        raise StanceSuiteError(
            f"{path}: tool.stance-suite.{sorted(unknown)[0]} is unknown; allowed: {', '.join(names)}"
        )
    return table
