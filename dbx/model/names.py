"""What things may be called, and how large they may be (format.md §2, §3; cli.md 13, 14).

Every check takes whatever arrived and returns the text to store, or raises Invalid with one sentence that says the
rule. Only ASCII passes, so no two names look alike; a name never needs escaping in JSON.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from dbx.errors import SHOWN_CHARS, Invalid
from dbx.errors import quote as quote
from dbx.formats.envelope import MAX_NOTE_CHARS as MAX_NOTE_CHARS

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_EVENT_TYPE_CHARS = 128

_match_type = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII).fullmatch
_match_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127}", re.ASCII).fullmatch
_match_event_type = re.compile(r"[a-z][a-z0-9_]{0,127}", re.ASCII).fullmatch
_match_domain = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII).fullmatch
_DOTTED = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*"
_METADATA_KEY = r"@[A-Za-z0-9][A-Za-z0-9_-]*"

# Windows opens a device for these, whatever the directory; a repository must survive being copied there.
_DEVICES = frozenset({"con", "nul", "aux", "prn"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)})


def check_type(name: object) -> str:
    """An aggregate type: `[a-z][a-z0-9_]{0,63}`."""
    if isinstance(name, str) and _match_type(name):
        return name
    raise _refusal("aggregate type", name, "lower-case snake_case (a-z, 0-9, _), at most 64 characters")


def check_id(name: object) -> str:
    """An aggregate id: `[A-Za-z0-9][A-Za-z0-9_.:@/+~-]{0,127}`. It never becomes a path, so `a/../b` is harmless."""
    if isinstance(name, str) and _match_id(name):
        return name
    raise _refusal(
        "aggregate id",
        name,
        "a letter or digit, then letters, digits and _ . : @ / + ~ -, at most 128 characters",
    )


def check_event_type(name: object) -> str:
    """An event type as it is stored: `[a-z][a-z0-9_]{0,127}`. `person.created` comes back as `person_created`.

    Reserved types pass; who takes events from people compares with event.RESERVED.
    """
    if isinstance(name, str):
        if _match_event_type(name):
            return name
        if len(name) <= MAX_EVENT_TYPE_CHARS and _matcher(_DOTTED)(name):
            return name.replace(".", "_")
    raise _refusal(
        "event type",
        name,
        "lower-case snake_case (a-z, 0-9, _), dots between words allowed, at most 128 characters",
    )


def check_domain_name(name: object) -> str:
    """A domain name: `[a-z0-9][a-z0-9_-]{0,63}`, and no device name of Windows, because it becomes a directory."""
    if not isinstance(name, str) or not _match_domain(name):
        raise _refusal(
            "domain name",
            name,
            "a lower-case letter or digit, then a-z, 0-9, _ and -, at most 64 characters",
        )
    refuse_device("domain name", name)
    return name


def refuse_device(what: str, name: str) -> None:
    """Raise Invalid for a name that cannot be a file everywhere: `con`, and `con.1`, are devices on Windows."""
    if name.partition(".")[0] in _DEVICES:
        raise Invalid(f"{what} {quote(name)} is a device on some systems", hint="choose another name")


def check_metadata_key(name: object) -> str:
    """A metadata key: `@[A-Za-z0-9][A-Za-z0-9_-]*`, as in `@actor`."""
    if isinstance(name, str) and _matcher(_METADATA_KEY)(name):
        return name
    raise _refusal("metadata key", name, "'@' and then letters, digits, _ and -, as in '@source'")


def check_note(note: object) -> str:
    """An event's note: at most 128 characters (code points). The message does not repeat the note."""
    if not isinstance(note, str):
        raise Invalid("the note must be text")
    if len(note) > MAX_NOTE_CHARS:
        raise Invalid(f"the note has {len(note)} characters, at most {MAX_NOTE_CHARS} are allowed")
    return note


def _refusal(what: str, name: object, rule: str) -> Invalid:
    if not isinstance(name, str):
        return Invalid(f"the {what} must be text")
    if not name:
        return Invalid(f"the {what} is empty", hint=f"it must be {rule}")
    return Invalid(f"{what} {quote(name)} must be {rule}", hint=_describe_foreign(name))


def _describe_foreign(name: str) -> str | None:
    # A Cyrillic 'о' cannot be seen in the quoted name; its code point can.
    foreign = next((c for c in name[:SHOWN_CHARS] if not c.isascii()), None)
    if foreign is None:
        return None
    import unicodedata

    described = f"U+{ord(foreign):04X} {unicodedata.name(foreign, '')}".rstrip()
    return f"it contains {described}, only ASCII is allowed"


@cache
def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern, re.ASCII).fullmatch  # on first use: most commands need none
