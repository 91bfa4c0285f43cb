"""The counts of uses: one spelling, and everything else is damage."""

from __future__ import annotations

import pytest

from dbx.errors import Corrupt
from dbx.formats.uses import Counted, Uses, decode_uses, encode_uses

USES = Uses({"d": Counted(3, "c", {"t": 2})}, {"t": 7})


def test_round_trip() -> None:
    assert decode_uses(encode_uses(USES)) == USES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b'{"domains":{},"format":2,"pushed":{}}\n',
        b'{"domains":{},"format":1,"pushed":{"t":-1}}\n',
        b'{"domains":{},"format":1,"pushed":{"t":1.5}}\n',
        b'{"domains":{"d":{}},"format":1,"pushed":{}}\n',
        encode_uses(USES)[:-1],
    ],
)
def test_anything_else_is_damage(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_uses(data)
