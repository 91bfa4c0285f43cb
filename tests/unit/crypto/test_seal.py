"""AES-256-GCM by NIST's test cases, scrypt by those of RFC 7914 §12."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto.seal import Sealer, Unsealable, key_from_passphrase

KEY = bytes(range(32))
NONCE = bytes(12)


def test_vectors() -> None:
    # McGrew & Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16.
    zero = Sealer(bytes(32))
    assert zero.seal(NONCE, b"", b"").hex() == "530f8afbc74536b9a963b4f1c4cb738b"
    sealed = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    assert zero.seal(NONCE, bytes(16), b"").hex() == sealed
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308")
    text = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
        "b16aedf5aa0de657ba637b39"
    )
    place = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    made = Sealer(key).seal(bytes.fromhex("cafebabefacedbaddecaf888"), text, place)
    assert made[-16:].hex() == "76fc6ece0f4e1768cddf8853bb2d551b"


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_round_trip(data: bytes, place: bytes) -> None:
    sealer = Sealer(KEY)
    assert sealer.unseal(NONCE, sealer.seal(NONCE, data, place), place) == data


@settings(deadline=None)
@given(st.integers(0, (5 + 16) * 8 - 1))
def test_any_flipped_bit(bit: int) -> None:
    sealed = bytearray(Sealer(KEY).seal(NONCE, b"hello", b"here"))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Unsealable):
        Sealer(KEY).unseal(NONCE, bytes(sealed), b"here")


def test_another_key_place_or_length() -> None:
    sealed = Sealer(KEY).seal(NONCE, b"hello", b"here")
    for key, nonce, data, place in (
        (KEY[::-1], NONCE, sealed, b"here"),
        (KEY, NONCE, sealed, b"there"),
        (KEY, bytes(11) + b"\1", sealed, b"here"),
        (KEY, bytes(8), sealed, b"here"),
        (KEY, NONCE, sealed[:15], b"here"),
        (KEY, NONCE, b"", b"here"),
    ):
        with pytest.raises(Unsealable):
            Sealer(key).unseal(nonce, data, place)
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")
    with pytest.raises(ValueError, match="12 bytes"):
        Sealer(KEY).seal(b"short", b"", b"")


def test_scrypt() -> None:
    made = key_from_passphrase(b"password", b"NaCl", n=1024, r=8, p=16)
    assert made.hex() == "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
    for costs in ({"n": 1 << 20}, {"n": 3}, {"n": 0}, {"n": 1}, {"r": 0}, {"p": 0}, {"p": 1 << 20}, {"r": 1 << 20}):
        with pytest.raises(ValueError, match="out of range"):
            key_from_passphrase(b"", b"", **costs)
