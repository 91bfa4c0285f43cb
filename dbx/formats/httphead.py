"""The head of an HTTP/1.1 request (RFC 9112), strictly: what two readers could understand differently is refused.

POST /orders/dbx/v1/bundle HTTP/1.1\\r\\n
Host: events.example.org\\r\\n
Content-Length: 1042\\r\\n
\\r\\n
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HEAD_BYTES = 64 * 1024
"""A token has at most 16 KiB, and so has a query."""
MAX_FIELDS = 100
END = b"\r\n\r\n"

_match_line = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([!-~]{1,65536}) HTTP/1\.([01])").fullmatch
_match_field = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[ \t]*([\t -~\x80-\xff]*?)[ \t]*").fullmatch
_match_length = re.compile(r"[0-9]{1,17}").fullmatch
_ONCE = frozenset({"content-length", "transfer-encoding", "host", "authorization"})


class Head(NamedTuple):
    """A request's head. `target` is as it was sent; `fields` have lower-case names, a repeated one's values are joined
    by commas; `length` is the body's bytes, None where it comes in chunks."""

    method: str
    target: str
    minor: int
    fields: Mapping[str, str]
    length: int | None

    @property
    def keeps_open(self) -> bool:
        """Whether another request may follow on the connection."""
        options = {word.strip() for word in self.fields.get("connection", "").lower().split(",")}
        return "close" not in options and (self.minor > 0 or "keep-alive" in options)


def parse_head(data: bytes) -> Head:
    """The head from its bytes without the empty line at its end. Raises Invalid, and never repeats what came."""
    line, *lines = data.split(b"\r\n")
    found = _match_line(line)
    if found is None:
        raise Invalid("the request line cannot be read")
    if len(lines) > MAX_FIELDS:
        raise Invalid("the request has too many header fields")
    fields: dict[str, str] = {}
    for text in lines:
        field = _match_field(text)
        if field is None:
            raise Invalid("a header field cannot be read")
        name, value = field[1].decode().lower(), field[2].decode("latin-1")
        if name in fields:
            if name in _ONCE:
                raise Invalid(f"the header field '{name}' comes twice")
            value = f"{fields[name]}, {value}"
        fields[name] = value
    return Head(found[1].decode(), found[2].decode(), int(found[3]), fields, _length(fields))


def _length(fields: Mapping[str, str]) -> int | None:
    text = fields.get("content-length")
    if "transfer-encoding" in fields:
        if text is not None:
            raise Invalid("the request has a length, and a transfer encoding too")
        return None
    if text is None:
        return 0
    if not _match_length(text):
        raise Invalid("the request's length is no number")
    return int(text)
