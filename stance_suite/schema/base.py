"""What everything that is written to disk has in common: records, names that code declares, and hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema


class Record(BaseModel):
    """Base of everything that is written to disk: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class OfModel(Record):
    """Base of what is found of one model and recipe."""

    model: str
    """The model."""
    recipe: str
    """The training recipe."""


def content_key(ingredients: Mapping[str, Any]) -> str:
    """Hash everything that a record depends on, in whatever order: SHA-256 in hexadecimal digits."""
    canonical = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class _Declaring(type):
    """Keeps what was made: of every subclass a name exists once, and only with all that is known of it."""

    _known: dict[str, Any]

    def __call__(cls, name: str, **known: Any) -> Any:
        if name in cls._known:
            raise ValueError(f"{cls.__name__} {name!r} is declared already")
        cls._known[name] = super().__call__(name, **known)
        return cls._known[name]


class Registered(str, metaclass=_Declaring):
    """A name that code declares once and files quote; subclass by ``dataclass(frozen=True, eq=False, repr=False)``."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        cls._known = {}

    def __new__(cls, name: str, **known: object) -> Self:
        """Make the name; it is declared once all that is known of it has been said."""
        return super().__new__(cls, name)

    @classmethod
    def named(cls, name: object) -> Self:
        """Find what was declared; else a ValueError lists the names there are, as pydantic's of an enum does."""
        if isinstance(name, str) and name in cls._known:
            return cast(Self, cls._known[name])
        *others, last = (repr(str(one)) for one in cls._known)
        raise PydanticKnownError("enum", {"expected": f"{', '.join(others)} or {last}" if others else last})

    @classmethod
    def all(cls) -> tuple[Self, ...]:
        """List all that are declared, in order."""
        return tuple(cls._known.values())

    @classmethod
    def forget(cls, name: str) -> None:
        """Take back a declaration: for tests that declare something of their own."""
        del cls._known[name]

    def __reduce__(self) -> tuple[Callable[[str], Self], tuple[str]]:  # copies are made by it, too
        return self.named, (str(self),)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.named, serialization=core_schema.to_string_ser_schema())
