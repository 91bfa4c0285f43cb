"""CSV as RFC 4180 has it, in UTF-8, lines ended by a line feed; and JSON values as its cells.

A spreadsheet takes a cell that begins with = + - @, a tab or a carriage return for a formula, which can do harm. So
text that begins so is put behind an apostrophe, unless told otherwise. Numbers are left alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbx.formats import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

_must_quote = re.compile(r'[",\r\n]').search
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def encode_row(cells: Iterable[str]) -> bytes:
    """A line with its line feed. A row of one empty cell is written as \"\", so that it is no empty line."""
    line = ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' if _must_quote(cell) else cell for cell in cells)
    return f"{line or chr(34) * 2}\n".encode()


def cell_of(value: Any, *, guard: bool = True) -> str:
    """A JSON value as a cell: text as it is, null as nothing, all else as canonical JSON (format.md §2)."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if guard and value.startswith(_FORMULA) else value
    return canonical.encode_text(value)
