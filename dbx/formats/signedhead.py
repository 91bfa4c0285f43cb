"""The largest head that was signed for an origin, or that a witness saw of it: canonical JSON and a newline.

{"format":1,"origin":"dbx/018f…","root":"<64 hex digits>","size":42}
"""

from __future__ import annotations

import re

from dbx.errors import Corrupt
from dbx.formats import canonical
from dbx.formats.checkpoint import Checkpoint
from dbx.formats.envelope import HASH, MAX_INTEGER

MAX_BYTES = 4096


def encode_head(head: Checkpoint) -> bytes:
    """The bytes of the file."""
    value = {"format": 1, "origin": head.origin, "root": head.root.hex(), "size": head.size}
    return canonical.encode(value) + b"\n"


def decode_head(data: bytes) -> Checkpoint:
    """A head as it was stored. Raises Corrupt unless the bytes are its one spelling."""
    try:
        value = canonical.decode(data.removesuffix(b"\n"), what="the head")
        origin, root, size = value["origin"], value["root"], value["size"]
        if type(size) is not int or not 0 <= size <= MAX_INTEGER or not re.fullmatch(HASH, root) or not origin:
            raise ValueError
        head = Checkpoint(origin, size, bytes.fromhex(root))
        if encode_head(head) != data:
            raise ValueError
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Corrupt("the head that was stored is damaged") from None
    return head
