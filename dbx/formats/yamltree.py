"""YAML with places: what yamltext loads, and where in the file each value stands.

For errors that name the line and column of what they are about, and for edits that leave the rest of a file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.formats.yamltext import MAX_BYTES, MAX_DEPTH, Builder, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dbx.formats.yamltext import Ending, Opening

SCALAR, FLOW, BLOCK = "scalar", "flow", "block"


class Node:
    """A value and where it stands; lines and columns count from 0, `end_column` is behind the last character.

    `kind` is SCALAR, FLOW (a collection between brackets) or BLOCK. A mapping has `members`, by key the node of the key
    and that of the value; a sequence has `items`.
    """

    __slots__ = ("column", "end_column", "end_line", "items", "kind", "line", "members", "value")

    def __init__(self, value: Any, kind: str, line: int, column: int, end_line: int, end_column: int) -> None:
        self.value = value
        self.kind = kind
        self.line = line
        self.column = column
        self.end_line = end_line
        self.end_column = end_column
        self.members: dict[str, tuple[Node, Node]] = {}
        self.items: list[Node] = []


def load_tree(data: bytes, *, name: str, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Node | None:
    """The document as yamltext.load reads it, with places; None of an empty one. Raises Invalid as that does."""
    builder = _TreeBuilder(Source(name, data, max_bytes), max_depth)
    builder.build()
    return builder.root


def place_of(root: Node | None, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
    """(line, column), both from 1, of the value that `path` leads to, as far as it leads; with `key`, of its key."""
    if root is None:
        return 1, 1
    node, at = root, root
    for step in path:
        if isinstance(step, str) and step in node.members:
            named, node = node.members[step]
        elif isinstance(step, int) and 0 <= step < len(node.items):
            named = node = node.items[step]
        else:
            break
        at = named if key or node.kind == BLOCK else node
    return at.line + 1, at.column + 1


class _TreeBuilder(Builder):
    __slots__ = ("_keys", "_lines", "_nodes", "root")

    def __init__(self, source: Source, max_depth: int) -> None:
        super().__init__(source, max_depth)
        self.root: Node | None = None
        # Per open collection: its node, and of a mapping the node of the key that waits for its value.
        self._nodes: list[Node] = []
        self._keys: list[Node | None] = []
        self._lines = source.text.split("\n")

    def _add(self, event: Opening, value: Any) -> None:
        super()._add(event, value)
        start, end = event.start_mark, event.end_mark
        assert start is not None and end is not None  # noqa: S101,PT018 - both parsers give every event its marks
        kind = SCALAR
        if isinstance(value, dict | list):
            kind = FLOW if getattr(event, "flow_style", False) else BLOCK
        node = Node(value, kind, start.line, start.column, end.line, end.column)
        if getattr(event, "style", None) in ("|", ">"):
            node.end_line, node.end_column = self._end_of_text(start.line)
        self._attach(node)
        if kind != SCALAR:
            self._nodes.append(node)
            self._keys.append(None)

    def _attach(self, node: Node) -> None:
        if not self._nodes:
            self.root = node
            return
        parent, key = self._nodes[-1], self._keys[-1]
        if isinstance(parent.value, list):
            parent.items.append(node)
        elif key is None:
            self._keys[-1] = node
        else:
            if (
                node.kind == SCALAR
                and node.value is None
                and (node.line, node.column)
                == (
                    node.end_line,
                    node.end_column,
                )
            ):
                # Nothing was written: the parsers say it stands where the next thing begins.
                node.line = node.end_line = key.end_line
                node.column = node.end_column = key.end_column
            parent.members[key.value] = key, node
            self._keys[-1] = None

    def _end(self, event: Ending) -> None:
        node = self._nodes.pop()
        self._keys.pop()
        if node.kind == FLOW:
            assert event.end_mark is not None  # noqa: S101 - as above
            node.end_line, node.end_column = event.end_mark.line, event.end_mark.column
            return
        # The mark of a block's end stands behind the comments that follow it.
        inner = [value for _, value in node.members.values()] or node.items
        if inner:
            last = max(inner, key=lambda one: (one.end_line, one.end_column))
            node.end_line, node.end_column = last.end_line, last.end_column

    def _end_of_text(self, line: int) -> tuple[int, int]:
        """Where text that a `|` or `>` in this line begins ends: it is all that is indented more than what it is in."""
        indent = -1
        for node in reversed(self._nodes):
            if node.kind == BLOCK:
                indent = node.column
                break
        last = line
        for number in range(line + 1, len(self._lines)):
            text = self._lines[number].rstrip("\r")
            if text.strip(" "):
                if len(text) - len(text.lstrip(" ")) <= indent:
                    break
                last = number
        return last, len(self._lines[last].rstrip("\r"))
