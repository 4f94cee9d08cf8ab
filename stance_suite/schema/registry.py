"""Names that code declares and files quote: each is declared once, and carries what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


class _Declaring(type):
    """Keeps what was made: of every subclass a name exists once, and only with all that is known of it."""

    _known: dict[str, Any]

    def __call__(cls, name: str, **known: Any) -> Any:
        if name in cls._known:
            raise ValueError(f"{cls.__name__} {name!r} is declared already")
        cls._known[name] = super().__call__(name, **known)
        return cls._known[name]


class Registered(str, metaclass=_Declaring):
    """A declared name. Of every subclass a name exists once, so that one that was read is the one that was declared.

    What is known of it are the fields of the subclass, a ``dataclass(frozen=True, eq=False, repr=False)`` with the name
    first; a subclass with a ``__new__`` of its own hands the name on to ``super().__new__``.
    """

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        cls._known = {}

    def __new__(cls, name: str, **known: object) -> Self:
        """Make the name; it is declared once all that is known of it has been said."""
        return super().__new__(cls, name)

    @classmethod
    def named(cls, name: object) -> Self:
        """Find what was declared; the error, a ValueError, lists the names there are, as pydantic's of an enum does."""
        if isinstance(name, str) and name in cls._known:
            found: Self = cls._known[name]
            return found
        from pydantic_core import PydanticKnownError

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

    def __reduce__(self) -> tuple[Callable[[str], Self], tuple[str]]:
        return self.named, (str(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(cls.named, serialization=core_schema.to_string_ser_schema())
