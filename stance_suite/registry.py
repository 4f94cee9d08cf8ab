"""Names that code declares and files quote: each is declared once, and carries what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class Registered(str):
    """A declared name. Of every subclass a name exists once, so that one that was read is the one that was declared.

    A subclass takes its name first and what is known of it by keyword, and hands the name on to ``super().__new__``.
    """

    __slots__ = ()
    _known: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        cls._known = {}

    def __new__(cls, name: str) -> Self:
        """Declare a name; ValueError if it is declared already."""
        if name in cls._known:
            raise ValueError(f"{cls.__name__} {name!r} is declared already")
        self = super().__new__(cls, name)
        cls._known[name] = self
        return self

    @classmethod
    def named(cls, name: str) -> Self:
        """Find what was declared; ValueError lists the names there are."""
        if name not in cls._known:
            raise ValueError(f"Input should be {', '.join(map(repr, map(str, cls._known)))}")
        found: Self = cls._known[name]
        return found

    @classmethod
    def all(cls) -> Iterator[Self]:
        """Go through all that are declared, in order."""
        yield from tuple(cls._known.values())

    @classmethod
    def forget(cls, name: str) -> None:
        """Take back a declaration: for tests that declare something of their own."""
        del cls._known[name]

    def __reduce__(self) -> tuple[Callable[[str], Self], tuple[str]]:
        return self.named, (str(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls.named, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )
