"""Collecting what is wrong with a schema document, and the readers of its small parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbx.errors import Invalid
from dbx.model import names
from dbx.model.faults import kind_of
from dbx.model.schema import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dbx.model.schema import Path

MAX_FIELD_CHARS = 128
MAX_DESCRIPTION_CHARS = 4096
_MAX_PROBLEMS = 200


def check_field(name: object) -> str:
    """A field's name: 1 to 128 printable characters without blanks at its ends and without dots. Raises Invalid.

    A dot stands for a field within a field wherever fields are named.
    """
    if not isinstance(name, str):
        raise Invalid("the name of a field must be text")
    if not 1 <= len(name) <= MAX_FIELD_CHARS:
        raise Invalid(f"the name of a field must have 1 to {MAX_FIELD_CHARS} characters")
    if "." in name:
        raise Invalid(f"field name {names.quote(name)} must not hold a dot, which stands for a field within a field")
    if not name.isprintable() or name != name.strip():
        raise Invalid(f"field name {names.quote(name)} must be printable, without blanks at its ends")
    return name


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word that looks most like `word`."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), list(known), 1) if isinstance(word, str) and len(word) < 100 else []
    return found[0] if found else None


class Problems:
    """The problems found so far, in the order of the document."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, path: Path, message: str, near: str | None = None, *, on_key: bool = False) -> None:
        """Keep a problem; after the first 200 there are enough."""
        if len(self.found) < _MAX_PROBLEMS:
            self.found.append(Problem(path, message, near, on_key))

    def unknown_key(self, key: Any, path: Path, known: tuple[str, ...], reason: str | None = None) -> None:
        """A key that means nothing there."""
        shown = names.quote(key) if isinstance(key, str) else "that is no text"
        what = reason or f"allowed are {', '.join(known)}"
        near = nearest(key, known)
        self.add(
            (*path, key),
            f"unknown key {shown}" if near and not reason else f"unknown key {shown}: {what}",
            near,
            on_key=True,
        )

    def is_mapping(self, value: Any, path: Path, what: str, hint: str | None = None) -> bool:
        """Whether `value` is a mapping; if not, that is a problem."""
        if isinstance(value, dict):
            return True
        is_of = "empty" if value is None else {"array": "a list"}.get(kind_of(value), kind_of(value))
        self.add(path, f"{what} must be a mapping of keys to values, it is {is_of}" + (f"; {hint}" if hint else ""))
        return False

    def flag(self, value: Any, path: Path) -> bool:
        """`true` or `false`."""
        if not isinstance(value, bool):
            self.add(path, f"'{path[-1]}' must be true or false", nearest(value, ("true", "false")))
        return value is True

    def description(self, value: Any, path: Path) -> str | None:
        """Text for people."""
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > MAX_DESCRIPTION_CHARS:
            self.add(path, f"'{path[-1]}' must be text of at most {MAX_DESCRIPTION_CHARS} characters")
            return None
        return value

    def field_names(self, value: Any, path: Path) -> tuple[str, ...]:
        """A list of fields, none twice."""
        if value is None:
            return ()
        if not isinstance(value, list):
            self.add(path, f"'{path[-1]}' must be a list of field names")
            return ()
        seen: dict[str, None] = {}
        for index, name in enumerate(value):
            try:
                if check_field(name) in seen:
                    self.add((*path, index), f"field {names.quote(name)} is listed twice")
                seen[name] = None
            except Invalid as error:
                self.add((*path, index), error.message)
        return tuple(seen)

    def word(self, value: Any, path: Path, known: tuple[str, ...]) -> Any:
        """One word out of a few."""
        if isinstance(value, str) and value in known:
            return value
        shown = f"{names.quote(value)} is" if isinstance(value, str) else f"{kind_of(value)} is"
        self.add(path, f"'{path[-1]}' must be {' or '.join(known)}, {shown} not", nearest(value, known))
        return known[0]
