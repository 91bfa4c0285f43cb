"""How strictly a domain holds events to schemas (cli.md 4), in EventDBX's words (§3.2)."""

from __future__ import annotations

from typing import Literal

from dbx.errors import Invalid
from dbx.model.names import quote

Restrict = Literal["off", "default", "strict"]
"""`off`: names and sizes only; `default`: events of declared aggregates are checked; `strict`: no others are taken."""

WORDS: dict[Restrict, tuple[str, ...]] = {
    "off": ("off", "false", "0", "no", "none", "unrestricted", "dev"),
    "default": ("default", "true", "1", "yes", "on", "prod", "restricted", "hybrid"),
    "strict": ("strict", "all", "enforced"),
}
"""Mode to all the words for it."""

_BY_WORD: dict[str, Restrict] = {word: mode for mode, words in WORDS.items() for word in words}


def parse_restrict(value: object) -> Restrict:
    """The mode that a word means; blanks around it and its case do not count, and YAML's own booleans are words.

    Raises Invalid for an unknown word.
    """
    word = "" if value is None else str(value).strip().lower()
    mode = _BY_WORD.get(word) if isinstance(value, str | bool | int) else None
    if mode is None:
        from difflib import get_close_matches

        near = get_close_matches(word, list(_BY_WORD), 1)
        shown = f"restriction {quote(value)} is unknown" if isinstance(value, str) else "the restriction is no word"
        hint = f"did you mean '{near[0]}'?" if near else "use off, default or strict"
        raise Invalid(f"{shown}: it must be off, default or strict", hint=hint)
    return mode
