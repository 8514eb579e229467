"""Values behave as the standard library's frozen, slotted dataclasses do."""

import copy
import pickle
import subprocess
import sys
from dataclasses import dataclass
from dataclasses import field as standard_field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regalia.core.values import field, fields, frozen, replace


@frozen(order=True)
class Ours:
    """A point."""

    x: int
    name: str = "origin"
    tags: tuple[str, ...] = field(default_factory=tuple, repr=False)

    def __post_init__(self) -> None:
        """Refuse what is negative."""
        if self.x < 0:
            raise ValueError("negative")

    @classmethod
    def of(cls, x: int) -> "Ours":
        return cls(x)


@dataclass(frozen=True, slots=True, order=True)
class Theirs:
    """A point."""

    x: int
    name: str = "origin"
    tags: tuple[str, ...] = standard_field(default_factory=tuple, repr=False)


@frozen
class Other:
    """Another class with the same fields."""

    x: int
    name: str = "origin"
    tags: tuple[str, ...] = ()


points = st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.lists(st.sampled_from("ab"), max_size=2).map(tuple))


@given(points, points)
def test_values_compare_hash_and_show_as_dataclasses_do(one: tuple[Any, ...], two: tuple[Any, ...]) -> None:
    ours, theirs = (Ours(*one), Ours(*two)), (Theirs(*one), Theirs(*two))

    assert (ours[0] == ours[1]) == (theirs[0] == theirs[1])
    assert (ours[0] < ours[1], ours[0] >= ours[1]) == (theirs[0] < theirs[1], theirs[0] >= theirs[1])
    assert (hash(ours[0]) == hash(ours[1])) or ours[0] != ours[1]
    assert repr(ours[0]).removeprefix("Ours") == repr(theirs[0]).removeprefix("Theirs")


@given(points)
def test_a_value_survives_copies_and_pickling(point: tuple[Any, ...]) -> None:
    value = Ours(*point)

    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == copy.copy(value) == value  # noqa: S301 # our own


def test_a_value_is_given_by_place_or_by_name_and_defaults_fill_the_rest() -> None:
    assert Ours(1) == Ours(x=1) == Ours(1, "origin") == Ours(1, tags=()) == Ours.of(1)
    assert [one.name for one in fields(Ours)] == ["x", "name", "tags"]
    assert fields("text") == ()


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, "a", (), 4), {}), ((1,), {"x": 2}), ((1,), {"colour": "red"})]
)
def test_a_value_that_misses_or_has_too_much_is_a_type_error(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="Ours"):
        Ours(*values, **named)


def test_no_half_valid_value_exists() -> None:
    with pytest.raises(ValueError, match="negative"):
        Ours(-1)
    with pytest.raises(ValueError, match="negative"):
        replace(Ours(1), x=-1)


@pytest.mark.parametrize("name", ["x", "colour"])
def test_a_value_can_not_be_changed(name: str) -> None:
    value = Ours(1)

    with pytest.raises(AttributeError, match="is frozen"):
        setattr(value, name, 2)
    with pytest.raises(AttributeError, match="is frozen"):
        delattr(value, name)
    assert replace(value, x=2) == Ours(2)
    assert value == Ours(1)


def test_values_of_two_classes_are_never_equal() -> None:
    one: object = Ours(1)

    assert one != Other(1)
    assert not hasattr(Ours(1), "__dict__")
    with pytest.raises(TypeError):
        _ = Other(1) < Other(2)  # type: ignore[operator] # what the test is about


def test_a_field_without_a_hash_is_left_out_of_it() -> None:
    @frozen
    class Held:
        name: str
        content: dict[str, int] = field(default_factory=dict, hash=False)

    assert hash(Held("a", {"b": 1})) == hash(Held("a"))


def test_an_agent_loads_nothing_that_only_signers_and_dataclasses_need() -> None:
    script = "import regalia.client, regalia.resolving, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    heavy = ["dataclasses", "inspect", "cryptography.hazmat.primitives.serialization", "regalia.core.signing"]
    assert [name for name in heavy if name in loaded] == []
