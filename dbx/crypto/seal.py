"""AES-256-GCM with its place as additional data, and keys from passphrases (format.md §6, NIST SP 800-38D, RFC 7914).

A key has 32 bytes, a nonce 12. What is sealed for one place does not open in another: the place is authenticated too.
"""

from __future__ import annotations

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16

SCRYPT_N = 1 << 15
SCRYPT_R = 8
SCRYPT_P = 1
SALT_BYTES = 16


class Unsealable(Exception):  # noqa: N818
    """The key is not the one that sealed this, or the bytes or their place were changed."""


class Sealer:
    """Seals and unseals with one key. Making one costs some microseconds: keep it for many blocks."""

    __slots__ = ("_cipher", "_invalid")

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes; raises ValueError otherwise."""
        if len(key) != KEY_BYTES:
            raise ValueError("an AES-256 key has 32 bytes")
        # Not before it is needed: every command loads this module, and most workspaces seal nothing.
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._invalid = InvalidTag
        self._cipher = AESGCM(key)

    def seal(self, nonce: bytes, data: bytes, place: bytes) -> bytes:
        """Ciphertext and tag. A nonce of 12 random bytes, never used twice with a key."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError("a nonce has 12 bytes")
        return self._cipher.encrypt(nonce, data, place)

    def unseal(self, nonce: bytes, sealed: bytes, place: bytes) -> bytes:
        """What was sealed. Raises Unsealable."""
        if len(nonce) != NONCE_BYTES or len(sealed) < TAG_BYTES:
            raise Unsealable
        try:
            return self._cipher.decrypt(nonce, sealed, place)
        except self._invalid:
            raise Unsealable from None


def key_from_passphrase(
    passphrase: bytes, salt: bytes, *, n: int = SCRYPT_N, r: int = SCRYPT_R, p: int = SCRYPT_P
) -> bytes:
    """32 bytes by scrypt (RFC 7914), which needs 128 * n * r bytes of memory. Raises ValueError beyond 128 MiB.

    The costs stand in files, and files come from strangers.
    """
    if n < 2 or n & (n - 1) or not 0 < r <= 32 or not 0 < p <= 16 or 128 * n * r > 1 << 27:
        raise ValueError("the costs of scrypt are out of range")
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=KEY_BYTES, n=n, r=r, p=p).derive(passphrase)
