"""The parts of a backup: one spelling, bounded, and names that stay inside."""

from __future__ import annotations

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.formats.backup import (
    BackedUp,
    BackupManifest,
    Member,
    decode_costs,
    decode_header,
    decode_manifest,
    decode_sums,
    encode_costs,
    encode_header,
    encode_manifest,
    encode_sums,
)

LONG = f"data/domains/{'d' * 64}/segments/{'a' * 64}.seg"


@pytest.mark.parametrize("name", ["a", LONG, "data/.gitignore", f"{'p/' * 70}x"])
def test_headers(name: str) -> None:
    assert decode_header(encode_header(Member(name, 12345))) == Member(name, 12345)
    assert decode_header(bytes(512)) is None


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "./a", ".", "a b", "a\n", "é", "x" * 200]
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(Invalid):
        encode_header(Member(name, 1))


def test_headers_that_cannot_be() -> None:
    good = bytearray(encode_header(Member("data/a", 5)))
    with pytest.raises(Corrupt):
        decode_header(bytes(good[:511]))
    for at in (0, 124, 156, 157, 257, 345):
        bad = bytearray(good)
        bad[at] = ord("2") if at == 156 else bad[at] ^ 0x55
        with pytest.raises(Corrupt):
            decode_header(bytes(bad))
    for name, kind in ((b"../x", b"0"), (b"/etc/x", b"0"), (b"data/l", b"2"), (b"data/d", b"5")):
        bad = bytearray(good)
        bad[:100] = name.ljust(100, b"\0")
        bad[156:157] = kind
        bad[148:156] = b" " * 8
        bad[148:156] = b"%06o\0 " % sum(bad)
        with pytest.raises(Corrupt):
            decode_header(bytes(bad))


def test_manifest_sums_and_costs() -> None:
    manifest = BackupManifest("2026-11-26T08:00:00.000000Z", (BackedUp("a", "u", None, -1),), True)
    assert decode_manifest(encode_manifest(manifest)) == manifest
    sums = [("0" * 64, "manifest.json"), ("f" * 64, "data/HEAD")]
    assert decode_sums(encode_sums(sums)) == sums
    costs = encode_costs(2, 8, 1, "AAAA")
    assert decode_costs(costs.rstrip(b"\n")) == (2, 8, 1, "AAAA")
    for data in (
        b"",
        b"{}\n",
        encode_manifest(manifest)[:-1],
        encode_manifest(manifest).replace(b'"format":1', b'"format":2'),
    ):
        with pytest.raises(Corrupt):
            decode_manifest(data)
    for data in (b"x", b"0" * 64 + b" a\n", encode_sums(sums)[:-1]):
        with pytest.raises(Corrupt):
            decode_sums(data)
    for line in (
        b"",
        b"{}",
        b'{"kdf":"none","n":2,"p":1,"r":8,"salt":""}',
        b'{"kdf":"scrypt","n":"2","p":1,"r":8,"salt":""}',
    ):
        with pytest.raises(Corrupt):
            decode_costs(line)
