"""A BagIt bag being written (RFC 8493): files under data/, tag files beside them, and manifests of all their hashes.

It grows in a directory of its own that nobody has looked into yet. What is interrupted has no `bagit.txt`.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from dbx.repo.outfile import shared_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dbx.store.fs import Directory

_FLUSH_BYTES = 1 << 20


class Bag:
    """A bag in an empty directory; `close` makes it whole."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._mode = shared_mode()
        self._payload: dict[str, str] = {}
        self._tags: dict[str, str] = {}
        self.payload_bytes = 0

    def add(self, name: str, data: bytes) -> None:
        """A file; under data/ it is payload, else a tag file."""
        self._directory.write(name, data, self._mode)
        self._note(name, sha256(data).hexdigest(), len(data))

    @contextmanager
    def open(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """A file that is written piece by piece, by the function given. It is there when all of it is."""
        parent, _, base = name.rpartition("/")
        digest, size = sha256(), 0
        parts: list[bytes] = []
        held = 0
        with self._directory.temporary(parent) as file:

            def write(data: bytes) -> None:
                nonlocal held, size
                parts.append(data)
                held += len(data)
                size += len(data)
                if held >= _FLUSH_BYTES:
                    flush()

            def flush() -> None:
                nonlocal held
                joined = b"".join(parts)
                parts.clear()
                held = 0
                digest.update(joined)
                file.write(joined)

            yield write
            flush()
            file.publish(base, self._mode)
        self._note(name, digest.hexdigest(), size)

    def payload(self) -> dict[str, bytes]:
        """What was added under data/, read again; for little data."""
        return {name: self._directory.read(name, self.payload_bytes) for name in self._payload}

    def close(self, info: Mapping[str, str]) -> None:
        """Write the manifests, `bag-info.txt` with these labels, and `bagit.txt` last."""
        oxum = {"Payload-Oxum": f"{self.payload_bytes}.{len(self._payload)}"}
        self.add("bag-info.txt", "".join(f"{label}: {text}\n" for label, text in {**info, **oxum}.items()).encode())
        self.add("manifest-sha256.txt", _manifest(self._payload))
        declaration = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
        self._tags["bagit.txt"] = sha256(declaration).hexdigest()
        self._directory.write("tagmanifest-sha256.txt", _manifest(self._tags), self._mode)
        self._directory.write("bagit.txt", declaration, self._mode)

    def _note(self, name: str, digest: str, size: int) -> None:
        if name.startswith("data/"):
            self._payload[name] = digest
            self.payload_bytes += size
        else:
            self._tags[name] = digest


def _manifest(files: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items())).encode()
