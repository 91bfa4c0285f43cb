"""The bare loop: parse, encode canonically, hash, compress, write. `python bare.py JSONL OUT`.

It checks nothing and finds nothing again: the least that a store of hashed, compressed lines must do in plain Python.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from hashlib import sha256

_BLOCK_BYTES = 64 * 1024


def squeeze(lines: str, out: str) -> str:
    """Copy a file of JSON lines into compressed blocks, durably; the hash over all lines in hex."""
    encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
    held: list[bytes] = []
    size = 0
    digest = b""
    with open(lines, encoding="utf-8") as source, open(out, "wb") as target:
        for line in source:
            data = encode(json.loads(line)).encode()
            digest = sha256(digest + data).digest()
            held.append(data)
            size += len(data)
            if size >= _BLOCK_BYTES:
                target.write(zlib.compress(b"\n".join(held), 1))
                held, size = [], 0
        target.write(zlib.compress(b"\n".join(held), 1))
        target.flush()
        os.fsync(target.fileno())
    return digest.hex()


if __name__ == "__main__":
    print(squeeze(sys.argv[1], sys.argv[2]))
