"""Text that says when: RFC 3339 times, and dates, which stand for their beginning in UTC."""

from __future__ import annotations

from dbx.errors import Invalid
from dbx.model.time import parse_time

_DATE = "####-##-##"


def find_moment(text: str) -> int | None:
    """Microseconds since the Unix epoch, None for a text that is no time."""
    if len(text) < len(_DATE) or text[4] != "-" or text[7] != "-":
        return None
    try:
        return parse_time(text if len(text) > len(_DATE) else f"{text}T00:00:00Z")
    except Invalid:
        return None
