"""Points at the character of a short text, as a user typed it, at which it cannot be understood."""

from __future__ import annotations

from dbx.errors import Invalid

_BEFORE = 60
_AFTER = 40


def fault_at(what: str, text: str, at: int, reason: str, *, hint: str | None = None) -> Invalid:
    """An error about the character at offset `at` (0 to the length of `text`, which is its end).

    `details` hold `column` (from 1, in characters) and `excerpt`: the text around the place, and a caret below.
    """
    at = max(0, min(at, len(text)))
    return Invalid(
        f"{what}: {reason} at column {at + 1}",
        hint=hint,
        details={"column": at + 1, "excerpt": excerpt(text, at)},
    )


def excerpt(text: str, at: int) -> list[str]:
    """One line with the characters around offset `at`, and a line with a caret below that character."""
    first = at - _BEFORE if at > _BEFORE else 0
    last = at + _AFTER
    shown = "".join(c if c.isprintable() else "�" for c in text[first:last])
    before, after = "…" if first else "", "…" if last < len(text) else ""
    return [f"{before}{shown}{after}", " " * (len(before) + at - first) + "^"]
