"""Edits to YAML that people wrote: the file gets a new value and keeps its comments, its order and its blank lines.

What changed is found by comparing values; only the lines of what changed are written anew. The result is loaded again
and compared, so what cannot be edited line by line is rewritten: first a whole member, at last the whole file, of which
only the comments at its beginning then stay.

Kept: every comment and blank line outside of what is removed or replaced, and the one on the line of a replaced value.
Lost: comments within a value that is removed or replaced as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.formats.yamltext import MAX_BYTES, MAX_DEPTH, dump, format_scalar, format_text, load
from dbx.formats.yamltree import BLOCK, FLOW, SCALAR, load_tree

if TYPE_CHECKING:
    from dbx.formats.yamltree import Node

_WIDTH = 100
_LONG_KEY_CHARS = 512


class _CannotEditError(Exception):
    """The place is written in a way that lines cannot be taken out of."""


def update(data: bytes, value: Any, *, name: str) -> bytes:
    """`data`, a YAML file, edited so that it loads as `value`; keys that are new stand last in their mapping.

    The order of keys in `value` plays no part: where nothing else changed, `data` itself comes back. Raises Invalid for
    a file that is not sound, and for a value that YAML cannot hold.
    """
    root = load_tree(data, name=name)
    if root is not None and same(root.value, value):
        return data
    text = data.decode()
    if root is not None and isinstance(value, dict) and value and root.kind == BLOCK and root.members:
        for depth in (MAX_DEPTH, 1):
            edited = _try(text, root, value, depth)
            if edited is not None and _loads_as(edited, value, name):
                return edited
    return _rewrite(text, value)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same, numbers and booleans of one kind; keys may be in another order."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(item, other[key]) for key, item in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def _loads_as(data: bytes, value: Any, name: str) -> bool:
    try:
        return same(load(data, name=name), value)
    except Invalid:
        return False


def _try(text: str, root: Node, value: dict[str, Any], depth: int) -> bytes | None:
    editor = _Editor(text)
    try:
        editor.change_mapping(root, value, depth)
    except _CannotEditError:
        return None
    data = editor.finish().encode()
    return data if len(data) <= MAX_BYTES else None


def _rewrite(text: str, value: Any) -> bytes:
    head: list[str] = []
    for line in text.replace("\r", "").split("\n"):
        if line.strip(" ") and not line.lstrip(" ").startswith("#"):
            break
        head.append(line)
    while head and not head[-1].strip(" "):
        head.pop()
    body = dump(value).decode()  # which refuses what cannot be written
    if isinstance(value, dict) and value:
        lines: list[str] = []
        try:
            for key, item in value.items():
                lines += _entry_lines(format_text(key), item, "")
        except _CannotEditError:
            lines = body.split("\n")[:-1]
        body = "\n".join(lines) + "\n"
    return ("".join(line + "\n" for line in head) + body).encode()


class _Editor:
    """Collects which lines are replaced by which, all by their numbers in the old text."""

    def __init__(self, text: str) -> None:
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._lines = text.split("\n")
        self._edits: list[tuple[int, int, int, list[str]]] = []

    def finish(self) -> str:
        """The new text."""
        done: list[str] = []
        at = 0
        ending = self._newline.removesuffix("\n")
        for start, end, _, new in sorted(self._edits, key=lambda edit: edit[:3]):
            if start < at:
                raise AssertionError("edits overlap")
            done += self._lines[at:start]
            if new and start == len(self._lines) and done and done[-1] != "":
                done[-1] += ending  # the last line had no newline
            done += [line + ending for line in new]
            at = end
        done += self._lines[at:]
        text = "\n".join(done)
        return text if text.endswith("\n") else text + self._newline

    def change_mapping(self, node: Node, value: dict[str, Any], depth: int) -> None:
        """Make a block mapping, which stays one, hold `value`."""
        for key, (named, inner) in node.members.items():
            self._check_place(named, inner)
            if key not in value:
                self._replace(named.line, inner.end_line + 1, [])
            elif not same(inner.value, value[key]):
                self._change_member(named, inner, value[key], depth)
        new: list[str] = []
        indent = " " * node.column
        for key, item in value.items():
            if key not in node.members:
                new += _entry_lines(format_text(key), item, indent)
        if new:
            end = node.end_line + 1
            self._replace(end, end, new)

    def _change_member(self, named: Node, inner: Node, value: Any, depth: int) -> None:
        if inner.kind == BLOCK and value and depth > 1:
            if isinstance(value, dict) and inner.members:
                self.change_mapping(inner, value, depth - 1)
                return
            if isinstance(value, list) and inner.items and self._change_items(inner, value):
                return
        before, after = self._around(named, inner)
        flow = inner.kind == FLOW and inner.value and inner.line == inner.end_line and isinstance(value, dict | list)
        indent = " " * named.column
        if flow:
            line = f"{before}: {_flow(value)}"
            lines = [line] if len(line) <= _WIDTH else _entry_lines(before.lstrip(" "), value, indent)
        else:
            lines = _entry_lines(before.lstrip(" "), value, indent)
        self._replace(named.line, inner.end_line + 1, [lines[0] + after, *lines[1:]])

    def _change_items(self, node: Node, value: list[Any]) -> bool:
        """Take items out of a block sequence and put new ones at its end; False where that does not give `value`."""
        if any(item.kind != SCALAR for item in node.items) or any(isinstance(item, dict | list) for item in value):
            return False
        kept = [item for item in node.items if any(same(item.value, new) for new in value)]
        added = value[len(kept) :]
        if not same([item.value for item in kept], value[: len(kept)]):
            return False
        dashes = {self._lines[item.line][: item.column] for item in node.items}
        if len(dashes) != 1 or (dash := dashes.pop()).strip(" ") != "-":
            return False
        for item in node.items:
            if item not in kept:
                self._replace(item.line, item.end_line + 1, [])
        if added:
            self._replace(node.end_line + 1, node.end_line + 1, [f"{dash}{format_scalar(item)}" for item in added])
        return True

    def _check_place(self, named: Node, inner: Node) -> None:
        """A member must have its lines to itself, up to a comment, and its key and colon on the first of them."""
        line = self._line(named.line)
        if line[: named.column].strip(" ") or named.end_line != named.line or inner.line < named.line:
            raise _CannotEditError
        self._around(named, inner)

    def _around(self, named: Node, inner: Node) -> tuple[str, str]:
        """The text of the line up to the colon, and the comment that stands on it behind the value."""
        line = self._line(named.line)
        colon = line.find(":", named.end_column)
        if colon < 0 or line[named.end_column : colon].strip(" "):
            raise _CannotEditError
        ends_here = inner.end_line == named.line and inner.kind != BLOCK
        if ends_here and inner.end_column > named.end_column:
            rest = line[inner.end_column :]
        elif inner.line == named.line and not ends_here:
            # A value that begins here and goes on: what stands behind its end belongs to another place.
            rest = ""
            if self._line(inner.end_line)[inner.end_column :].strip(" "):
                raise _CannotEditError
        else:
            rest = line[colon + 1 :]
        if rest.strip(" ") and not rest.lstrip(" ").startswith("#"):
            raise _CannotEditError
        return line[: named.end_column], rest.rstrip(" ")

    def _line(self, number: int) -> str:
        return self._lines[number].removesuffix("\r")

    def _replace(self, start: int, end: int, new: list[str]) -> None:
        self._edits.append((start, end, len(self._edits), new))


def _entry_lines(key: str, value: Any, indent: str) -> list[str]:
    """The lines of one member of a block mapping; `key` as it is to be written."""
    if len(key) > _LONG_KEY_CHARS:
        raise _CannotEditError
    if isinstance(value, dict) and value:
        lines = [f"{indent}{key}:"]
        for inner, item in value.items():
            lines += _entry_lines(format_text(inner), item, indent + "  ")
        return lines
    if isinstance(value, list) and value:
        line = f"{indent}{key}: {_flow(value)}"
        if len(line) <= _WIDTH and not any(isinstance(item, dict | list) for item in value):
            return [line]
        return [f"{indent}{key}:", *(f"{indent}  {one}" for one in dump(value).decode().split("\n")[:-1])]
    text = _flow(value) if isinstance(value, dict | list) else format_scalar(value)
    return [f"{indent}{key}: {text}"]


def _flow(value: Any) -> str:
    """A value on one line, collections between brackets."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _flow_scalar(value)


def _flow_scalar(value: Any) -> str:
    text = format_scalar(value)
    # Between brackets a comma ends a value.
    return f'"{text}"' if isinstance(value, str) and text[:1] != '"' and not text.isidentifier() else text
