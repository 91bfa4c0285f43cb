from __future__ import annotations

import base64
import json
from hashlib import sha256

import pytest

from dbx.errors import Corrupt
from dbx.formats.tlogproof import MAX_PROOF_BYTES, TlogProof, format_tlog_proof, parse_tlog_proof
from tests.vectors import shared

HASH = base64.b64encode(bytes(32)).decode()


def test_proofs_of_others() -> None:
    good = json.loads(shared("vectors/extracted/tlog_proof_good.json").read_text())
    assert good
    for case in good:
        extra = case["extra"].encode() if "extra" in case else None
        hashes = tuple(sha256(each.encode()).digest() for each in case["hash_preimages"])
        proof = TlogProof(case["index"], hashes, case["checkpoint"].encode(), extra)
        assert parse_tlog_proof(format_tlog_proof(proof)) == proof


def test_spelling() -> None:
    proof = TlogProof(7, (bytes(32),), b"note\n", b"x")
    assert format_tlog_proof(proof) == f"c2sp.org/tlog-proof@v1\nextra eA==\nindex 7\n{HASH}\n\nnote\n".encode()


def test_bad_proofs_of_others() -> None:
    bad = json.loads(shared("vectors/extracted/tlog_proof_bad.json").read_text())
    assert len(bad) == 8
    for case in bad:
        with pytest.raises(Corrupt):
            parse_tlog_proof(base64.b64decode(case["proof_b64"]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nindex 00\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra eA==\n\nnote\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH[:-1]}\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * 64 + "\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\né\n\nnote\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n\n" + "x" * MAX_PROOF_BYTES,
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(Corrupt):
        parse_tlog_proof(text.encode())
