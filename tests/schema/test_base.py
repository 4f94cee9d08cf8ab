"""Names that are declared once: what was read is what was declared, wherever it went in between."""

import copy
import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pydantic import BaseModel, ValidationError

from stance_suite.schema.base import Registered


@dataclass(frozen=True, eq=False, repr=False)
class Fruit(Registered):
    name: str
    taste: str


class Basket(BaseModel):
    fruit: Fruit
    weights: dict[Fruit, float] = {}


@pytest.fixture(autouse=True)
def lemon() -> Iterator[Fruit]:
    yield Fruit("lemon", taste="sour")
    Fruit.forget("lemon")


def test_what_is_read_is_what_was_declared(lemon: Fruit) -> None:
    read = Basket.model_validate_json('{"fruit": "lemon", "weights": {"lemon": 2.5}}')
    assert read.fruit is lemon
    assert next(iter(read.weights)) is lemon
    assert Basket.model_validate(read.model_dump(mode="json")) == read
    assert read.model_dump_json() == '{"fruit":"lemon","weights":{"lemon":2.5}}'
    assert f"{read.fruit}" == "lemon"


def test_a_name_that_nobody_declared_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match="should be 'lemon'"):
        Basket(fruit="plum")
    with pytest.raises(ValidationError):
        Basket(fruit=3)


def test_a_name_is_declared_once_and_of_one_class(lemon: Fruit) -> None:
    class Color(Registered):
        __slots__ = ()

    with pytest.raises(ValueError, match="declared already"):
        Fruit("lemon", taste="sweet")
    assert (Fruit.all(), Color.all()) == ((lemon,), ())


def test_copies_and_pickles_are_itself(lemon: Fruit) -> None:
    assert copy.deepcopy([lemon])[0] is lemon
    assert copy.copy(lemon) is lemon
    assert pickle.loads(pickle.dumps(lemon)) is lemon


def test_what_lacks_something_is_not_declared() -> None:
    with pytest.raises(TypeError):
        Fruit("plum")
    assert "plum" not in Fruit.all()
