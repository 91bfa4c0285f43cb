"""Where things stand in YAML, with both of PyYAML's parsers."""

from __future__ import annotations

import pytest
import yaml

from dbx.errors import Invalid
from dbx.formats.yamltree import BLOCK, FLOW, SCALAR, load_tree, place_of

TEXT = b"""\
# first
aggregate: order
columns:
  total: {type: integer, required: true}
  empty:
  note: |
    some text

    more

  last: x
events:
  - a
  - b: [1,
      2]
"""


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def test_each_value_has_its_lines() -> None:
    root = load_tree(TEXT, name="f")
    assert root is not None
    assert (root.kind, root.line, root.column, root.end_line) == (BLOCK, 1, 0, 14)
    columns = root.members["columns"][1]
    assert (columns.kind, columns.line, columns.column, columns.end_line) == (BLOCK, 3, 2, 10)
    total = columns.members["total"][1]
    assert (total.kind, total.line, total.column, total.end_column) == (FLOW, 3, 9, 40)
    empty = columns.members["empty"][1]
    assert (empty.kind, empty.value, empty.line, empty.end_line) == (SCALAR, None, 4, 4)
    note = columns.members["note"][1]
    assert (note.line, note.end_line, note.value) == (5, 8, "some text\n\nmore\n")
    assert root.members["events"][1].end_line == 14


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, (1, 1)),
        (("aggregate",), False, (2, 12)),
        (("aggregate",), True, (2, 1)),
        (("columns",), False, (3, 1)),
        (("columns", "total", "required"), False, (4, 36)),
        (("columns", "total", "required"), True, (4, 26)),
        (("columns", "missing", "type"), False, (3, 1)),
        (("columns", "last", "type"), False, (11, 9)),
        (("events", 0), False, (13, 5)),
        (("events", 1, "b", 1), False, (15, 7)),
        (("events", 7), False, (12, 1)),
    ],
)
def test_a_path_leads_to_a_place(path: tuple[str | int, ...], key: bool, place: tuple[int, int]) -> None:
    assert place_of(load_tree(TEXT, name="f"), path, key=key) == (place if path else (2, 1))


@pytest.mark.parametrize("text", [b"", b"# nothing\n"])
def test_an_empty_document_has_no_tree(text: bytes) -> None:
    assert load_tree(text, name="f") is None
    assert place_of(None, ("a",)) == (1, 1)


@pytest.mark.parametrize(
    "text", [b"a: *x\n", b"a: !t 1\n", b"a: 1\na: 2\n", b"a: &x 1\n", b"%YAML 1.1\n---\n", b"\xff"]
)
def test_what_load_refuses_is_refused(text: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        load_tree(text, name="f")
    assert caught.value.details["line"] >= 1


def test_limits_hold() -> None:
    with pytest.raises(Invalid, match="at most 10"):
        load_tree(b"a: 0123456789\n", name="f", max_bytes=10)
    with pytest.raises(Invalid, match="nests"):
        load_tree(b"[" * 40 + b"]" * 40, name="f")
