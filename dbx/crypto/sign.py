"""Ed25519 signatures (RFC 8032) and the form in which a key lies on the disk, PKCS#8 (RFC 8410).

A signing key is its seed of 32 bytes; a public key is 32 bytes; a signature is 64.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


def public_key(seed: bytes) -> bytes:
    """The public key that belongs to a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of the signature."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of `public` signed `message`. False, never an error, for bytes that cannot be a key."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def encode_pkcs8(seed: bytes, passphrase: bytes | None = None) -> bytes:
    """The key as PEM; sealed by a passphrase where one is given."""
    sealing = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return Ed25519PrivateKey.from_private_bytes(seed).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing
    )


def decode_pkcs8(data: bytes, passphrase: bytes | None = None) -> bytes:
    """The seed of a key in PEM. Raises ValueError for anything else, also for a wrong or missing passphrase."""
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("the key is sealed by a passphrase, or is of an unknown kind") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("the key is not an Ed25519 key")
    return key.private_bytes_raw()


def encode_public(public: bytes) -> bytes:
    """A public key as PEM (SubjectPublicKeyInfo), which openssl(1) reads."""
    return Ed25519PublicKey.from_public_bytes(public).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
