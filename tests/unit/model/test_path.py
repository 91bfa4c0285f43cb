"""dbx/model/path.py: dotted paths."""

from __future__ import annotations

from typing import Any

import pytest

from dbx.model.path import MISSING, compile_path, find_value

WHOLE = {
    "plain": 1,
    "null": None,
    "deep": {"a": {"b": 2}, "0": "key"},
    "list": [10, {"x": 11}, [12]],
    "dotted.key": 3,
    "dotted": {"key": 4, "other": 5},
    "text": "abc",
    "@meta": {"user": "u"},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("plain", 1),
        ("null", None),
        ("deep.a.b", 2),
        ("deep.0", "key"),
        ("list.0", 10),
        ("list.00", 10),
        ("list.1.x", 11),
        ("list.2.0", 12),
        ("dotted.key", 3),
        ("dotted.other", 5),
        ("@meta.user", "u"),
    ],
)
def test_there(path: str, value: Any) -> None:
    assert compile_path(path)(WHOLE) == value
    assert find_value(WHOLE, path) == value


@pytest.mark.parametrize(
    "path",
    [
        *["", ".", "none", "plain.x", "null.x", "text.0", "deep.a.c", "deep.", ".deep"],
        *["list.3", "list.-1", "list.x", "list.1.0", "list.٠", "list." + "9" * 5000],
    ],
)
def test_not_there(path: str) -> None:
    assert compile_path(path)(WHOLE) is MISSING
    assert find_value(WHOLE, path) is None


def test_missing_says_its_name() -> None:
    assert repr(MISSING) == "MISSING"
