"""The audit trail: append-only, verified by its tree, whole again after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx.crypto import merkle
from dbx.errors import Corrupt, KeyFailure
from dbx.formats.audit import decode_head, encode_head
from dbx.formats.envelope import Actor
from dbx.model.trust import open_checkpoint
from dbx.repo.repository import Repository
from dbx.repo.security import audit
from dbx.repo.vault.keys import generate_key
from tests.history import open_repository

JANE = Actor("ops", "jane")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return open_repository(tmp_path)


def fill(repository: Repository, count: int) -> None:
    for n in range(count):
        audit.record(repository, JANE, "config.set", {"key": f"k{n}"}, domain="default")


def path(repository: Repository, name: str = audit.LOG) -> Path:
    return Path(repository.directory.path_of(name))


def test_what_was_done_is_read_again(repository: Repository) -> None:
    assert audit.verify(repository).size == 0
    fill(repository, 9)
    found = list(audit.iterate(repository))
    assert [entry.n for entry in found] == list(range(9))
    assert [entry.details["key"] for entry in found] == [f"k{n}" for n in range(9)]
    lines = path(repository).read_bytes().split(b"\n")[:-1]
    assert audit.verify(repository).root == merkle.root([merkle.leaf_hash(line) for line in lines])


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_every_flipped_byte_shows(repository: Repository, size: int) -> None:
    fill(repository, size)
    data = path(repository).read_bytes()
    for at in range(0, len(data), 13):
        path(repository).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(Corrupt):
            audit.verify(repository)
    path(repository).write_bytes(data)
    audit.verify(repository)


def test_a_trail_that_was_cut_off_shows_and_takes_nothing_more(repository: Repository) -> None:
    fill(repository, 5)
    data = path(repository).read_bytes()
    for end in (0, 10, data.rindex(b"\n", 0, -1) + 1, len(data) - 1):
        path(repository).write_bytes(data[:end])
        with pytest.raises(Corrupt, match="cut off"):
            audit.verify(repository)
        with pytest.raises(Corrupt, match="cut off"):
            audit.record(repository, JANE, "x", {})
    path(repository).unlink()
    with pytest.raises(Corrupt):
        audit.verify(repository)


def test_a_lost_head_shows(repository: Repository) -> None:
    fill(repository, 2)
    path(repository, audit.HEAD).unlink()
    with pytest.raises(Corrupt, match="missing"):
        audit.verify(repository)
    with pytest.raises(Corrupt, match="missing"):
        audit.record(repository, JANE, "x", {})


def test_a_crash_between_line_and_head_loses_nothing(repository: Repository) -> None:
    fill(repository, 3)
    head = path(repository, audit.HEAD).read_bytes()
    fill(repository, 1)
    path(repository, audit.HEAD).write_bytes(head)
    assert audit.verify(repository).size == 4
    fill(repository, 1)
    assert [entry.n for entry in audit.iterate(repository)] == [0, 1, 2, 3, 4]
    assert decode_head(path(repository, audit.HEAD).read_bytes()).size == 5


def test_a_torn_line_is_cut_off(repository: Repository) -> None:
    fill(repository, 2)
    with path(repository).open("ab") as file:
        file.write(b'{"actor":')
    assert audit.verify(repository).size == 2
    fill(repository, 1)
    assert audit.verify(repository).size == 3


def test_a_signed_head_shows_what_was_rewritten_with_its_head(repository: Repository) -> None:
    fill(repository, 4)
    with pytest.raises(KeyFailure):
        audit.checkpoint(repository, sign=True)
    key = generate_key(repository)
    made, note, signer = audit.checkpoint(repository, sign=True)
    assert (made.size, signer) == (4, key.name)
    assert open_checkpoint(note, [key])[0] == made
    fill(repository, 2)
    assert audit.verify(repository).signed == 4
    # Somebody writes another trail, of the same length, with a head that fits.
    path(repository).unlink()
    path(repository, audit.HEAD).write_bytes(encode_head(audit.AuditHead()))
    for _ in range(6):
        audit.record(repository, JANE, "other", {})
    with pytest.raises(Corrupt, match="signed"):
        audit.verify(repository)
    with pytest.raises(Corrupt, match="signed"):
        audit.checkpoint(repository, sign=True)
