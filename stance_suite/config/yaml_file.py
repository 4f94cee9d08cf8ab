"""YAML documents that know their lines: safe loading, and errors that name file, line, key and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from stance_suite.errors import SpecError, SpecProblem, nearest_names, unknown_name

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]

_UNION_TAGS = {"wheel", "hub", "folder", "change", "unreported", "place", "ratio", "distinct", "not_recorded"}
"""What pydantic puts into the location of a value in a discriminated union; YAML has no such step."""


class Document:
    """One YAML file: its data, and the line of every key; a location is the keys and indices from the root."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._root = yaml.compose(path.read_text("utf-8"), yaml.SafeLoader)
            if self._root is not None:
                self._refuse_duplicate_keys(self._root)
            self.data: Any = None if self._root is None else yaml.SafeLoader("").construct_document(self._root)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise SpecError([SpecProblem(path, 1, "", f"cannot be read: {why}")]) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            message = f"is not valid YAML: {getattr(error, 'problem', None) or error}"
            raise SpecError([SpecProblem(path, 1 if mark is None else mark.line + 1, "", message)]) from None
        except RecursionError:
            raise SpecError([SpecProblem(path, 1, "", "refers to itself (an anchor inside its own value)")]) from None

    def line(self, location: Sequence[int | str]) -> int:
        """Find the line, from 1, where the value at a location starts, or that of its nearest ancestor."""
        node, line = self._root, 1
        for step in location:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == str(step)]
                if not found:
                    break
                line, node = found[0][0].start_mark.line + 1, found[0][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def problem(self, location: Sequence[int | str], message: str) -> SpecProblem:
        """Say what is wrong at a location, and how to mend it."""
        return SpecProblem(self.path, self.line(location), ".".join(map(str, location)), message)

    def check_names(
        self, location: Location, kind: str, names: str | Sequence[str], known: Iterable[str]
    ) -> list[SpecProblem]:
        """Find what nothing of a kind is called: the name at a location, or names of the list that is there."""
        known = set(known)
        listed = {location: names} if isinstance(names, str) else {(*location, i): name for i, name in enumerate(names)}
        return [
            self.problem(where, unknown_name(kind, name, known)) for where, name in listed.items() if name not in known
        ]

    def parse(self, model: type[Model], location: Location = ()) -> Model:
        """Read the value at a location as a typed record; SpecError with one problem for each error found."""
        data = self.data
        for step in location:
            data = data[step]
        if not isinstance(data, dict):
            message = f"must be a mapping with the keys {', '.join(model.model_fields)}"
            raise SpecError([self.problem(location, message)])
        try:
            return model.model_validate(data)
        except ValidationError as error:
            raise SpecError(self._translate(model, location, dict(details)) for details in error.errors()) from None

    def _translate(self, model: type[BaseModel], location: Location, details: dict[str, Any]) -> SpecProblem:
        kind = details["type"]
        where = location + tuple(step for step in details["loc"] if step not in _UNION_TAGS)
        if kind == "extra_forbidden":
            known = _model_at(model, details["loc"][:-1]).model_fields
            message = f"unknown key; {nearest_names(str(where[-1]), known)} Allowed here: {', '.join(known)}"
        elif kind == "missing":
            message = "is missing"
        elif kind in ("literal_error", "enum"):
            allowed = details["ctx"]["expected"]
            near = nearest_names(str(details["input"]), re.findall(r"'([^']*)'", allowed))
            suggestion = f"{near} Allowed" if near.startswith("did") else "allowed"
            message = f"{details['input']!r} is not allowed; {suggestion}: {allowed}"
        else:
            message = details["msg"].removeprefix("Value error, ")
        return self.problem(where, message)

    def _refuse_duplicate_keys(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                line = key.start_mark.line + 1
                if not isinstance(key, yaml.ScalarNode):
                    raise SpecError([SpecProblem(self.path, line, "", "a key must be a plain word")])
                if key.value in seen:
                    raise SpecError([SpecProblem(self.path, line, str(key.value), "is given twice; keep one")])
                seen.add(key.value)
                self._refuse_duplicate_keys(value)
        elif isinstance(node, yaml.SequenceNode):
            for child in node.value:
                self._refuse_duplicate_keys(child)


def _model_at(model: type[BaseModel], steps: Sequence[int | str]) -> type[BaseModel]:
    """Find the record that a nested value is read as; where several are possible, the one around them."""
    for step in steps:
        if isinstance(step, str) and step in model.model_fields:
            annotation = model.model_fields[step].annotation
            kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
            nested = [kind for kind in kinds if not get_args(kind) and issubclass(kind, BaseModel)]
            model = nested[0] if len(nested) == 1 else model
    return model
