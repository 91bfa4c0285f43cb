from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dbx.crypto import sign
from dbx.errors import Conflict, Corrupt, Invalid, KeyFailure, NotFound
from dbx.formats.knownkeys import OWN, TRUSTED, WITNESS, parse_rotation
from dbx.formats.note import COSIGNATURE, ED25519, Vkey
from dbx.model.trust import open_note
from dbx.repo.repository import Repository
from dbx.repo.vault.keys import (
    KNOWN,
    distrust_key,
    find_signing_key,
    generate_key,
    get_signing_key,
    import_key,
    read_known_keys,
    read_private,
    rotate_key,
    trust_key,
    workspace_name,
)
from tests.history import open_repository

STRANGER = Vkey("auditor", ED25519, bytes(range(32)))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return open_repository(tmp_path / "acme books+more")


def test_a_key_of_its_own(repository: Repository) -> None:
    assert find_signing_key(repository) is None
    with pytest.raises(KeyFailure, match="no signing key"):
        get_signing_key(repository)
    made = generate_key(repository)
    assert made.name == workspace_name(repository) == "acme-books-more"
    key = get_signing_key(repository)
    assert key.vkey == made
    assert sign.public_key(key.seed) == made.public
    assert repr(key) == f"SigningKey({made.name}+{made.key_id.hex()})"
    directory = Path(repository.path, "keys")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    with pytest.raises(Conflict, match="already"):
        generate_key(repository)


def test_names_that_keys_may_not_have(repository: Repository) -> None:
    for name in ("a b", "a+b", "x" * 300):
        with pytest.raises(Invalid):
            generate_key(repository, name)
    assert read_known_keys(repository).keys == ()


def test_rotation(repository: Repository) -> None:
    first = generate_key(repository, "acme")
    old, second = rotate_key(repository)
    assert old == first
    assert get_signing_key(repository).vkey == second != first
    known = read_known_keys(repository)
    assert [(key.vkey, key.role, key.until is None) for key in known.keys] == [(first, OWN, False), (second, OWN, True)]
    (note,) = known.rotations
    opened = open_note(note, [first])
    assert parse_rotation(opened.note.text)[:2] == (first, second)
    assert len(open_note(note, [first, second]).verified) == 2
    assert read_private(repository, first.key_id.hex()).vkey == first
    rotate_key(repository)
    assert len(read_known_keys(repository).keys) == 3


def test_importing(repository: Repository) -> None:
    seed = bytes(range(32))
    for data, passphrase, error in (
        (b"", None, Invalid),
        (sign.encode_public(sign.public_key(seed)), None, Invalid),
        (sign.encode_pkcs8(seed, b"sesame"), None, KeyFailure),
        (sign.encode_pkcs8(seed, b"sesame"), b"wrong", KeyFailure),
    ):
        with pytest.raises(error):
            import_key(repository, data, "acme", passphrase)
    key = import_key(repository, sign.encode_pkcs8(seed, b"sesame"), "acme", b"sesame")
    assert get_signing_key(repository) == (key, seed)
    with pytest.raises(Conflict):
        import_key(repository, sign.encode_pkcs8(seed), "acme")


def test_trusting(repository: Repository) -> None:
    trust_key(repository, STRANGER, TRUSTED)
    with pytest.raises(Conflict):
        trust_key(repository, STRANGER, TRUSTED)
    trust_key(repository, STRANGER._replace(algorithm=COSIGNATURE), WITNESS)
    assert distrust_key(repository, STRANGER.key_id.hex()) == STRANGER
    assert [key.until is None for key in read_known_keys(repository).keys] == [False, True]
    for key_id in (STRANGER.key_id.hex(), "none"):
        with pytest.raises(NotFound):
            distrust_key(repository, key_id)
    trust_key(repository, STRANGER, TRUSTED)


def test_an_own_key_is_not_distrusted(repository: Repository) -> None:
    key = generate_key(repository)
    with pytest.raises(NotFound):
        distrust_key(repository, key.key_id.hex())


def test_private_halves_that_are_unfit(repository: Repository) -> None:
    key = generate_key(repository)
    path = Path(repository.path, "keys", f"signing-{key.key_id.hex()}.pem")
    good = path.read_bytes()
    path.chmod(0o640)
    with pytest.raises(KeyFailure, match="others can read"):
        get_signing_key(repository)
    path.chmod(0o600)
    for data in (b"", b"rubbish", sign.encode_pkcs8(bytes(32))):
        path.write_bytes(data)
        with pytest.raises(KeyFailure):
            get_signing_key(repository)
    path.unlink()
    with pytest.raises(KeyFailure, match="not here"):
        get_signing_key(repository)
    (path.parent / "real").write_bytes(good)
    path.symlink_to("real")
    with pytest.raises(Corrupt):
        get_signing_key(repository)


def test_a_damaged_list(repository: Repository) -> None:
    generate_key(repository)
    Path(repository.path, KNOWN).write_bytes(b"{}")
    with pytest.raises(Corrupt, match=r"known\.json"):
        get_signing_key(repository)


def test_unknown_private_half(repository: Repository) -> None:
    with pytest.raises(NotFound):
        read_private(repository, "00000000")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_that_somebody_else_owns(repository: Repository) -> None:
    key = generate_key(repository)
    os.chown(Path(repository.path, "keys", f"signing-{key.key_id.hex()}.pem"), 65534, 65534)
    with pytest.raises(KeyFailure, match="others"):
        get_signing_key(repository)
