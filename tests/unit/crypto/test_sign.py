"""Ed25519: the vectors of RFC 8032 §7.1, and keys that openssl(1) wrote and reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbx.crypto.sign import decode_pkcs8, encode_pkcs8, encode_public, public_key, sign, verify

# (seed, public key, message, signature): TEST 1 to TEST 3.
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
SEED = bytes.fromhex(RFC_8032[0][0])


@pytest.mark.parametrize("case", RFC_8032)
def test_vectors(case: tuple[str, str, str, str]) -> None:
    seed, public, message, signature = map(bytes.fromhex, case)
    assert public_key(seed) == public
    assert sign(seed, message) == signature
    assert verify(public, message, signature)


@settings(deadline=None)
@given(st.integers(0, 511), st.binary(max_size=50))
def test_any_flipped_bit(bit: int, message: bytes) -> None:
    signature = bytearray(sign(SEED, message))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(public_key(SEED), message, bytes(signature))
    assert not verify(public_key(SEED), message + b"x", sign(SEED, message))


@pytest.mark.parametrize(("public", "signature"), [(b"", bytes(64)), (bytes(31), bytes(64)), (bytes(32), bytes(63))])
def test_what_cannot_be_a_key(public: bytes, signature: bytes) -> None:
    assert not verify(public, b"", signature)
    assert not verify(b"\xff" * 32, b"", bytes(64))


def test_pkcs8() -> None:
    assert decode_pkcs8(encode_pkcs8(SEED)) == SEED
    sealed = encode_pkcs8(SEED, b"open sesame")
    assert decode_pkcs8(sealed, b"open sesame") == SEED
    for passphrase in (None, b"wrong"):
        with pytest.raises(ValueError):
            decode_pkcs8(sealed, passphrase)
    for data in (
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        encode_public(public_key(SEED)),
    ):
        with pytest.raises(ValueError):
            decode_pkcs8(data)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl(1) is not installed")
def test_openssl_agrees(tmp_path: Path) -> None:
    key, public, message, signature = (tmp_path / name for name in ("key", "public", "message", "signature"))
    key.write_bytes(encode_pkcs8(SEED))
    public.write_bytes(encode_public(public_key(SEED)))
    message.write_bytes(b"hello")
    signature.write_bytes(sign(SEED, b"hello"))
    verified = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-in", message, "-sigfile", signature],
        capture_output=True,
        check=False,
    )
    assert verified.returncode == 0, verified
    made = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    assert len(decode_pkcs8(made)) == 32
