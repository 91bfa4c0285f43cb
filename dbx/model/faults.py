"""What is wrong with a payload, said without the payload."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong with one field of a payload. It never holds the value, only its kind (`kind_of`).

    `rule` is the word of the schema file: type, required, format, length, range, regex, contains, does_not_contain; of
    the whole event also locked, field_locks, events, fields. `path` is empty where it is about the whole event.
    """

    path: tuple[str, ...]
    rule: str
    kind: str
    message: str

    @property
    def field(self) -> str:
        """The path as people write it: `address.city`."""
        return ".".join(self.path)


def kind_of(value: object) -> str:
    """What JSON calls a value: null, boolean, number, text, array or object."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "array" if isinstance(value, list | tuple) else "object"
