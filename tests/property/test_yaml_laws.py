"""Editing YAML: parse(edit(text)) == edit(parse(text)), and what was not edited stays, to the comment."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.formats import yamledit, yamltext
from dbx.formats.yamltree import load_tree, place_of

_WORDS = st.sampled_from(
    ["a", "b", "total", "no", "null", "x y", "a#b", "é", "10", "k:v", "- x", "", "'", '"q"', "a\nb", "long " * 30, "#c"]
)
_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.just(1.5), _WORDS)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_WORDS, inner, max_size=4)),
    max_leaves=10,
)
_DOCUMENTS = st.dictionaries(_WORDS, _VALUES, min_size=1, max_size=5)


class _Writer:
    """Writes a value as people might: block or flow, with comments and blank lines, each comment with its number."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._comments = 0
        self.lines: list[str] = []

    def mapping(self, value: dict[str, Any], indent: str) -> None:
        for key, item in value.items():
            self._between(indent)
            self._member(f"{indent}{yamltext.format_text(key)}:", item, indent)

    def _member(self, before: str, item: Any, indent: str) -> None:
        inner = indent + " " * self._draw(st.sampled_from([1, 2, 4]))
        if isinstance(item, dict) and item and self._draw(st.booleans()):
            self.lines.append(before + self._comment())
            self.mapping(item, inner)
        elif isinstance(item, list) and item and self._draw(st.booleans()):
            self.lines.append(before + self._comment())
            for one in item:
                self._between(inner)
                self.lines.append(f"{inner}- {yamledit._flow(one)}{self._comment()}")
        elif isinstance(item, str) and item and item.strip() == item and "\n" not in item and self._draw(st.booleans()):
            self.lines += [f"{before} |-", f"{inner}{item}"]
        elif item is None and self._draw(st.booleans()):
            self.lines.append(before + self._comment())
        else:
            self.lines.append(f"{before} {yamledit._flow(item)}{self._comment()}")

    def _between(self, indent: str) -> None:
        kind = self._draw(st.integers(0, 5))
        if kind == 0:
            self.lines.append(f"{indent}{self._comment(always=True).strip()}")
        elif kind == 1:
            self.lines.append("")

    def _comment(self, *, always: bool = False) -> str:
        if not always and not self._draw(st.booleans()):
            return ""
        self._comments += 1
        return f"  # comment {self._comments}."


@st.composite
def _texts(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    value = draw(_DOCUMENTS)
    writer = _Writer(draw)
    writer.mapping(value, "")
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = newline.join(writer.lines) + draw(st.sampled_from([newline, ""]))
    return text.encode(), value


@settings(max_examples=150)
@given(_texts())
def test_the_texts_of_these_tests_mean_what_they_should(written: tuple[bytes, dict[str, Any]]) -> None:
    text, value = written
    assert yamltext.load(text, name="f") == value
    tree = load_tree(text, name="f")
    assert tree is not None
    assert tree.value == value


@settings(max_examples=300)
@given(_texts(), _DOCUMENTS)
def test_an_edited_text_has_the_value_it_should_have(written: tuple[bytes, dict[str, Any]], wanted: Any) -> None:
    assert yamledit.same(yamltext.load(yamledit.update(written[0], wanted, name="f"), name="f"), wanted)


@settings(max_examples=300)
@given(_texts(), st.data())
def test_one_change_keeps_every_comment_elsewhere(written: tuple[bytes, dict[str, Any]], data: st.DataObject) -> None:
    text, value = written
    wanted = copy.deepcopy(value)
    key = data.draw(st.sampled_from(sorted(wanted)))
    what = data.draw(st.sampled_from(["set", "remove", "insert"]))
    if what == "set":
        wanted[key] = data.draw(_VALUES)
    elif what == "insert":
        wanted["fresh"] = data.draw(_VALUES)
    elif len(wanted) > 1:
        del wanted[key]
    edited = yamledit.update(text, wanted, name="f")
    assert yamledit.same(yamltext.load(edited, name="f"), wanted)
    tree = load_tree(text, name="f")
    assert tree is not None
    named, inner = tree.members[key]
    lines = text.decode().replace("\r", "").split("\n")
    if what != "insert":
        del lines[named.line : inner.end_line + 1]
    comments = [line.partition("# comment")[2] for line in lines if "# comment" in line]
    kept = edited.decode().split("\n")
    assert all(any(line.replace("\r", "").endswith(f"# comment{one}") for line in kept) for one in comments)


@settings(max_examples=100)
@given(_texts())
def test_nothing_to_change_changes_no_byte(written: tuple[bytes, dict[str, Any]]) -> None:
    assert yamledit.update(*written, name="f") == written[0]


@settings(max_examples=100)
@given(_texts())
def test_every_member_stands_where_its_key_is(written: tuple[bytes, dict[str, Any]]) -> None:
    text, value = written
    tree = load_tree(text, name="f")
    lines = text.decode().replace("\r", "").split("\n")
    for key in value:
        line, column = place_of(tree, [key], key=True)
        assert lines[line - 1][column - 1 :].startswith(yamltext.format_text(key))
