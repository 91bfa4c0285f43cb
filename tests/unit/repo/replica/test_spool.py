"""What comes is read to its end before any of it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.crypto.vault import Vault
from dbx.errors import Corrupt
from dbx.repo.replica.spool import spooled
from dbx.store.fs import Directory

PIECES = [b"one", b"\x01looks sealed", b"x" * 200_000]


def vault_of(*keys: bytes) -> Vault:
    vault = Vault()
    vault.put({key: key * 4 for key in keys}, keys[0] if keys else b"", is_sealed=bool(keys))
    return vault


@pytest.mark.parametrize("vault", [vault_of(), vault_of(b"12345678")], ids=["plain", "sealed"])
def test_the_pieces_come_again(tmp_path: Path, vault: Vault) -> None:
    told: list[int] = []

    def read(size: int) -> bytes:
        told.append(size)
        return next(pieces, b"")

    pieces = iter(PIECES)
    with spooled(Directory(str(tmp_path)), read, vault) as again:
        assert len(told) == len(PIECES) + 1
        assert min(told) == max(told) <= 1 << 20
        (file,) = tmp_path.iterdir()
        assert (b"looks" in file.read_bytes()) is not vault.seals
        assert [*again] == PIECES
    assert not [*tmp_path.iterdir()]


def test_a_sender_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def read(_: int) -> bytes:
        if next(tmp_path.iterdir()).stat().st_size:
            raise ConnectionError
        return b"some"

    with pytest.raises(ConnectionError), spooled(Directory(str(tmp_path)), read, Vault()):
        pass
    assert not [*tmp_path.iterdir()]


def test_what_changes_on_the_disk_is_refused(tmp_path: Path) -> None:
    pieces = iter(PIECES)
    with spooled(Directory(str(tmp_path)), lambda _: next(pieces, b""), Vault()) as again:
        (file,) = tmp_path.iterdir()
        file.write_bytes(file.read_bytes()[:20])
        with pytest.raises(Corrupt, match="has changed on the disk"):
            list(again)
