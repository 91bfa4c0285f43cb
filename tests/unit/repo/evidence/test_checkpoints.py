from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dbx.errors import Corrupt, KeyFailure, NotFound
from dbx.formats.checkpoint import Checkpoint
from dbx.model.trust import open_checkpoint
from dbx.repo.evidence.checkpoints import compare_with_domain, make_checkpoint, sign_checkpoint, signed_size
from dbx.repo.evidence.heads import SIGNED, find_head
from dbx.repo.vault.keys import generate_key
from tests.history import append, open_repository


def test_signing(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    domain = repository.domain()
    append(domain, "a")
    with pytest.raises(KeyFailure):
        sign_checkpoint(repository, domain)
    key = generate_key(repository)
    assert signed_size(repository, domain) == 0
    for name in "bcd":
        append(domain, name)
    signed = sign_checkpoint(repository, domain)
    assert signed.checkpoint == make_checkpoint(domain) == open_checkpoint(signed.note, [key])[0]
    assert signed.checkpoint.origin == f"dbx/{domain.id}"
    assert signed_size(repository, domain) == 4
    older = sign_checkpoint(repository, domain, 2)
    assert older.checkpoint.size == 2
    assert signed_size(repository, domain) == 4
    assert sign_checkpoint(repository, domain) == signed
    with pytest.raises(NotFound):
        sign_checkpoint(repository, domain, 5)


def test_an_empty_domain(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    generate_key(repository)
    with pytest.raises(NotFound, match="no commits"):
        sign_checkpoint(repository, repository.domain())


@pytest.mark.parametrize("more", [0, 1, 3])
def test_nothing_is_signed_that_contradicts_what_was(tmp_path: Path, more: int) -> None:
    """A domain is set back to an old copy, and other commits are made on it."""
    repository = open_repository(tmp_path)
    domain = repository.domain()
    generate_key(repository)
    append(domain, "a")
    domain.close()
    copy = tmp_path / "copy"
    shutil.copytree(domain.directory.path, copy)
    append(domain, "b")
    signed = sign_checkpoint(repository, domain)
    repository.close()
    shutil.rmtree(domain.directory.path)
    copy.rename(domain.directory.path)
    repository = open_repository(tmp_path)
    domain = repository.domain()
    for n in range(more):
        append(domain, f"other-{n}")
    with pytest.raises(Corrupt, match="refused to sign") as caught:
        sign_checkpoint(repository, domain)
    assert caught.value.details["reason"] == "forked"
    with pytest.raises(Corrupt):
        sign_checkpoint(repository, domain, 1)
    assert find_head(repository, SIGNED, signed.checkpoint.origin) == signed.checkpoint
    assert compare_with_domain(domain, signed.checkpoint) == ("forked" if more else "ahead")


def test_comparing(tmp_path: Path) -> None:
    domain = open_repository(tmp_path).domain()
    append(domain, "a")
    checkpoint = make_checkpoint(domain)
    assert compare_with_domain(domain, checkpoint) == "current"
    append(domain, "b")
    assert compare_with_domain(domain, checkpoint) == "older"
    assert compare_with_domain(domain, checkpoint._replace(root=bytes(32))) == "forked"
    assert compare_with_domain(domain, Checkpoint(checkpoint.origin, 3, bytes(32))) == "ahead"


def test_a_stored_head_that_is_damaged(tmp_path: Path) -> None:
    repository = open_repository(tmp_path)
    generate_key(repository)
    append(repository.domain(), "a")
    sign_checkpoint(repository, repository.domain())
    (path,) = Path(repository.path, SIGNED).iterdir()
    good = path.read_bytes()
    for data in (b"", b"{}\n", good[:-1], good.replace(b'"size":1', b'"size":0x1'), good.replace(b"dbx/", b"xbd/")):
        path.write_bytes(data)
        with pytest.raises(Corrupt, match="signed/"):
            sign_checkpoint(repository, repository.domain())
