"""Edits keep what people wrote around them. The laws are in tests/property/test_yaml_laws.py."""

from __future__ import annotations

from typing import Any

import pytest

from dbx.errors import Invalid
from dbx.formats.yamledit import same, update
from dbx.formats.yamltext import load

SCHEMA = """\
# yaml-language-server: $schema=x
aggregate: order   # the order

# about columns
columns:
  # its total
  total: decimal(8,2)  # money
  name: {type: text, required: true}   # who
  note:
    type: text
    # why
    length:
      max: 3
events:
  placed:
    fields: [a, b]
  gone:
    fields:
      - x   # first
      - y
# end
"""


def _updated(text: str, value: Any) -> str:
    return update(text.encode(), value, name="f").decode()


def test_each_kind_of_change() -> None:
    value = load(SCHEMA.encode(), name="f")
    value["columns"]["total"] = "integer"
    value["columns"]["name"]["format"] = "email"
    del value["columns"]["note"]["length"]
    value["columns"]["new"] = {"type": "text", "regex": ["^a$", "b,c"]}
    value["events"]["placed"]["fields"].append("c")
    value["events"]["gone"]["fields"] = ["y", "z"]
    value["locked"] = True
    assert (
        _updated(SCHEMA, value)
        == """\
# yaml-language-server: $schema=x
aggregate: order   # the order

# about columns
columns:
  # its total
  total: integer  # money
  name: {type: text, required: true, format: email}   # who
  note:
    type: text
    # why
  new:
    type: text
    regex: ["^a$", "b,c"]
events:
  placed:
    fields: [a, b, c]
  gone:
    fields:
      - y
      - z
locked: true
# end
"""
    )


@pytest.mark.parametrize(
    ("text", "value", "edited"),
    [
        ("", {"a": 1}, "a: 1\n"),
        ("# only this\n", {"a": 1}, "# only this\na: 1\n"),
        ("a: 1", {"a": 1, "b": 2}, "a: 1\nb: 2\n"),
        ("a: 1\r\nb: 2\r\n", {"a": 3, "b": 2, "c": 4}, "a: 3\r\nb: 2\r\nc: 4\r\n"),
        ("a:\n  b: 1\n# c\nd: 2\n", {"a": {}, "d": 2}, "a: {}\n# c\nd: 2\n"),
        ("a: {}  # c\n", {"a": {"b": {"c": 1}}}, "a:  # c\n  b:\n    c: 1\n"),
        ("a:   # c\nb: 1\n", {"a": "x", "b": 1}, "a: x   # c\nb: 1\n"),
        ("a: |\n  text\n\n# c\nb: 1\n", {"a": "x", "b": 1}, "a: x\n\n# c\nb: 1\n"),
        ("a: 'x\n  y'\nb: 1\n", {"a": "z", "b": 1}, "a: z\nb: 1\n"),
        ("'a': 1 # c\n", {"a": True}, "'a': true # c\n"),
        # What lines cannot be taken out of is written anew.
        ("# kept\n{a: 1, b: 2}  # lost\n", {"a": 2}, "# kept\na: 2\n"),
        ("--- {a: 1}\n", {"a": 2}, "a: 2\n"),
        ("? a\n: 1\n", {"a": 2}, "a: 2\n"),
        ("a: |+\n  text\n\n", {"a": "text\n\n", "b": 1}, 'a: "text\\n\\n"\nb: 1\n'),
        ("a: 1\n", {}, "{}\n"),
        ("a: 1\n", [1], "- 1\n"),
    ],
)
def test_an_edit(text: str, value: Any, edited: str) -> None:
    assert _updated(text, value) == edited


def test_what_is_not_sound_is_not_edited() -> None:
    with pytest.raises(Invalid):
        _updated("a: 1\na: 2\n", {"a": 1})
    with pytest.raises(Invalid):
        _updated("a: 1\n", {"a": float("nan")})
    with pytest.raises(Invalid):
        _updated("a: 1\n", {"a": 1, "b": "\ud800"})


def test_same_tells_kinds_apart() -> None:
    assert same({"a": 1, "b": [2.0]}, {"b": [2.0], "a": 1})
    assert not same(1, 1.0)
    assert not same(1, True)
    assert not same([1], [1, 2])
    assert not same({"a": 1}, {"b": 1})
