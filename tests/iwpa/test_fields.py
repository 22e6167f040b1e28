from __future__ import annotations

import dataclasses
import math

import pytest

from iwpa.fields import Allowed, check, field, leaves, read_values, with_values


@dataclasses.dataclass(frozen=True)
class Wheel:
    radius: float = field(0.5, "In metres.", above=0)
    spokes: int = field(8, "How many.", at_least=0, at_most=99)
    teeth: tuple[int, ...] = field((3, 4), "Of each gear.", at_least=1)

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True)
class Cart:
    front: Wheel = dataclasses.field(default_factory=Wheel)
    kind: str = field("hay", "What it carries.", choices=("hay", "stones"))
    covered: bool = field(False, "Whether.")

    def __post_init__(self):
        check(self)


def test_values_are_changed_by_dotted_names_and_converted_to_the_fields_types():
    cart = with_values(Cart(), {"front.radius": 2, "front.teeth": [5], "covered": True})
    assert cart == Cart(front=Wheel(radius=2.0, teeth=(5,)), covered=True)
    assert isinstance(cart.front.radius, float)
    assert list(leaves(Cart)) == ["front.radius", "front.spokes", "front.teeth", "kind", "covered"]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("front.radius", math.nan, "a number above 0 and at most 1000000000"),
        ("front.radius", math.inf, "above 0"),
        ("front.radius", 10**400, "above 0"),
        ("front.radius", 0, "above 0"),
        ("front.radius", True, "a number"),
        ("front.radius", "2", "a number"),
        ("front.spokes", 1.0, "a whole number from 0 to 99"),
        ("front.spokes", True, "a whole number"),
        ("front.spokes", 100, "from 0 to 99"),
        ("front.teeth", (), "1 or more values"),
        ("front.teeth", (3, 0), "each a whole number from 1"),
        ("front.teeth", 3, "1 or more values"),
        ("kind", "gold", "one of hay, stones"),
        ("covered", 1, "true or false"),
        ("covered", None, "true or false"),
    ],
)
def test_a_disallowed_value_is_refused_with_its_field_and_the_allowed_values(name, value, allowed):
    with pytest.raises(ValueError, match=f"^{name} takes .*{allowed}") as caught:
        with_values(Cart(), {name: value})
    assert str(caught.value).endswith(f"not {value!r}.")


@pytest.mark.parametrize(
    ("name", "near"),
    [("front.radios", "front.radius"), ("spokes", "front.spokes"), ("kin", "kind")],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(name, near):
    with pytest.raises(ValueError, match=f"no hyper-parameter '{name}': did you mean {near}"):
        with_values(Cart(), {name: 1})


@pytest.mark.parametrize(
    ("allowed", "text", "value"),
    [
        (Allowed(float, at_least=0), "1e-3", 0.001),
        (Allowed(int), "-4", -4),
        (Allowed(bool), "True", True),
        (Allowed(int, shortest=1), "3, 3", (3, 3)),
        (Allowed(str), "a b", "a b"),
    ],
)
def test_values_are_parsed_from_text(allowed, text, value):
    assert allowed.parse(text) == value


@pytest.mark.parametrize(
    ("allowed", "text"),
    [
        (Allowed(float), "nan"),
        (Allowed(float), "-inf"),
        (Allowed(float), ""),
        (Allowed(int), "1e3"),
        (Allowed(int), "--seed=1"),
        (Allowed(bool), "yes"),
        (Allowed(str), " "),
        (Allowed(str), "--seed=1"),
        (Allowed(int, shortest=1), "3,,4"),
        (Allowed(int, shortest=1), ""),
        (Allowed(int, shortest=1, distinct=True), "3,3"),
        (Allowed(str, choices=("hay",), shortest=1), "hay,stones"),
    ],
)
def test_text_without_an_allowed_value_is_refused(allowed, text):
    with pytest.raises(ValueError, match="takes"):
        allowed.parse(text)


def test_a_file_gives_values_by_dotted_names(tmp_path):
    (tmp_path / "mine.json").write_text('{"front": {"radius": 2, "teeth": [5]}, "kind": "hay"}')
    assert read_values(tmp_path / "mine.json") == {
        "front.radius": 2,
        "front.teeth": [5],
        "kind": "hay",
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "holds list"),
        ('{"kind": 1, "kind": 2}', "is not JSON: a name is repeated"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_without_a_valid_json_object_is_named(tmp_path, content, words):
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(ValueError, match=f"mine.json {words}"):
        read_values(tmp_path / "mine.json")
    with pytest.raises(ValueError, match=r"yours\.json cannot be read: No such file"):
        read_values(tmp_path / "yours.json")
