from __future__ import annotations

import base64
import json

import pytest

from dbx.errors import Corrupt
from dbx.formats.checkpoint import Checkpoint, default_origin, format_checkpoint, parse_checkpoint
from tests.vectors import shared

ROOT = base64.b64encode(bytes(range(32))).decode()
GOOD = f"dbx/1\n42\n{ROOT}\n"


def test_one_spelling() -> None:
    checkpoint = Checkpoint("dbx/1", 42, bytes(range(32)))
    assert format_checkpoint(checkpoint) == GOOD
    assert parse_checkpoint(GOOD) == checkpoint
    assert default_origin("018f") == "dbx/018f"


def test_checkpoints_of_others() -> None:
    """Theirs have roots of any length; with one of 32 bytes instead, the same are taken and refused."""
    cases = json.loads(shared("vectors/extracted/checkpoints_parse.json").read_text())
    assert len(cases) == 12
    for case in cases:
        lines = case["checkpoint"].split("\n")
        if len(lines) > 3 and "not base64" not in case["desc"]:
            lines[2] = ROOT
        text = "\n".join(lines)
        if case["wantErr"]:
            with pytest.raises(Corrupt):
                parse_checkpoint(text, extensions=True)
        else:
            found = parse_checkpoint(text, extensions=True)
            assert [found.origin, str(found.size)] == lines[:2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "\n1\n" + ROOT + "\n",
        f"a\n01\n{ROOT}\n",
        f"a\n+1\n{ROOT}\n",
        f"a\n 1\n{ROOT}\n",
        f"a\n{1 << 63}\n{ROOT}\n",
        f"a\n1\n{ROOT[:-1]}\n",
        f"a\n1\n{ROOT}",
        f"a\n1\n{ROOT}\nmore\n",
        f"a\n1\n{ROOT}\n\n",
        f"a\n1\n{base64.b64encode(bytes(31)).decode()}\n",
        "a\n١\n" + ROOT + "\n",
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(Corrupt):
        parse_checkpoint(text)
