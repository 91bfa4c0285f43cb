"""The keyring of a workspace: what each step of a change leaves behind opens, whenever it is cut off."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbx.crypto.vault import COUNT_STEP
from dbx.errors import Conflict, Corrupt, Invalid, KeyFailure, NotFound
from dbx.formats.keyring import decode_export, decode_keyring, encode_export
from dbx.repo.vault import keyring
from dbx.repo.vault.keyring import DEK, KEYRING, MOST_USES, NEXT_DEK, KeyringVault, parse_dek
from dbx.store.fs import Directory

DEK_1, DEK_2 = b"1" * 32, b"2" * 32


def clock() -> int:
    return 1_764_000_000_000_000


class Workspace:
    """A `.dbx` with nothing but keys, and the DEK that the environment has."""

    def __init__(self, path: Path, environment: bytes | None = None) -> None:
        path.mkdir(exist_ok=True)
        self.directory = Directory(str(path))
        self.environment = environment
        self.vault = self.open()

    def open(self) -> KeyringVault:
        return KeyringVault(self.directory, lambda: self.environment, entropy=os.urandom, clock=clock)

    def set(self, dek: bytes, *, store: bool = True) -> keyring.KeyringState:
        return keyring.set_dek(self.directory, dek, store=store, clock=clock, entropy=os.urandom)

    def rotate(self, dek: bytes, *, store: bool = True) -> None:
        keyring.rotate_dek(self.directory, self.vault, dek, store=store, entropy=os.urandom)

    def rotate_data(self) -> bytes:
        return keyring.rotate_data_key(self.directory, self.vault, clock=clock, entropy=os.urandom).id

    def keys(self) -> list[bytes]:
        found = keyring.read_keyring(self.directory)
        return [] if found is None else [key.id for key in found.keys]


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work")


def test_nothing_is_sealed_before_a_dek_is_set(work: Workspace) -> None:
    assert not work.vault.seals
    assert keyring.state_of(work.directory, work.vault) is None
    state = work.set(DEK_1)
    assert (len(state.keys), state.is_stored) == (1, True)
    assert work.vault.seals
    sealed = work.vault.seal_text(b"{}", b"p")
    assert work.open().seals
    again = work.open()
    assert not again.is_locked
    assert again.open_text(sealed, b"p") == b"{}"
    for name in (DEK, KEYRING):
        assert os.stat(work.directory.path_of(name)).st_mode & 0o777 == 0o600


def test_without_storing_the_environment_has_it(work: Workspace) -> None:
    work.set(DEK_1, store=False)
    assert not work.directory.exists(DEK)
    assert work.open().is_locked
    work.environment = DEK_1
    assert not work.open().is_locked
    work.environment = None
    work.set(DEK_1)
    assert not work.open().is_locked
    work.set(DEK_1, store=False)
    assert work.open().is_locked


def test_a_key_that_comes_later_is_found(work: Workspace) -> None:
    work.set(DEK_1, store=False)
    assert work.vault.is_locked
    work.set(DEK_1)
    assert not work.vault.is_locked


def test_a_wrong_key_is_told_from_damage(work: Workspace) -> None:
    work.set(DEK_1)
    work.environment = DEK_2
    with pytest.raises(KeyFailure, match="not the one"):
        work.open().refresh()
    with pytest.raises(KeyFailure):
        work.set(DEK_2)
    work.environment = None
    path = Path(work.directory.path_of(KEYRING))
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            work.open().refresh()
        except Corrupt:
            continue
        # What is left are bits that are part of no key: the time of its making.
        found = decode_keyring(path.read_bytes(), "k")
        assert found.keys[0].created_at != decode_keyring(good, "k").keys[0].created_at, at


def test_a_stored_dek_that_others_can_read_is_refused(work: Workspace) -> None:
    work.set(DEK_1)
    os.chmod(work.directory.path_of(DEK), 0o644)
    with pytest.raises(KeyFailure, match="others can read"):
        work.open().refresh()
    os.chmod(work.directory.path_of(DEK), 0o600)
    Path(work.directory.path_of(DEK)).write_text("short\n")
    with pytest.raises(KeyFailure, match="does not hold"):
        work.open().refresh()


def test_another_dek_opens_the_same_data_keys(work: Workspace) -> None:
    work.set(DEK_1)
    sealed = work.vault.seals and work.vault.seal_text(b"{}", b"p")
    assert sealed
    before = work.keys()
    work.rotate(DEK_2)
    assert work.keys() == before
    assert work.open().open_text(b"{}", b"p") == b"{}"
    assert not work.vault.is_locked
    assert work.vault.open_text(sealed, b"p") == b"{}"
    assert base64.b64decode(Path(work.directory.path_of(DEK)).read_bytes()) == DEK_2
    work.environment = DEK_1
    with pytest.raises(KeyFailure):
        work.open().refresh()


class _CutError(Exception):
    pass


class Failing(Directory):
    """Lets a number of changes happen, and no more: as a process that is killed."""

    __slots__ = ("left",)

    def __init__(self, path: str, left: int) -> None:
        super().__init__(path)
        self.left = left

    def _count(self) -> None:
        if self.left == 0:
            raise _CutError
        self.left -= 1

    def write(self, *args: Any, **options: Any) -> None:
        self._count()
        super().write(*args, **options)

    def rename(self, *args: Any, **options: Any) -> None:
        self._count()
        super().rename(*args, **options)

    def remove(self, *args: Any, **options: Any) -> None:
        self._count()
        super().remove(*args, **options)


def _set(work: Workspace, directory: Directory) -> None:
    keyring.set_dek(directory, DEK_1, store=True, clock=clock, entropy=os.urandom)


def _rotate(work: Workspace, directory: Directory) -> None:
    keyring.rotate_dek(directory, work.open(), DEK_2, store=True, entropy=os.urandom)


def _rotate_data(work: Workspace, directory: Directory) -> None:
    keyring.rotate_data_key(directory, work.open(), clock=clock, entropy=os.urandom)


@pytest.mark.parametrize("act", [_set, _rotate, _rotate_data])
def test_a_change_that_is_cut_off_anywhere_can_be_made_again(
    tmp_path: Path, act: Callable[[Workspace, Directory], None]
) -> None:
    for left in range(10):
        work = Workspace(tmp_path / f"{act.__name__}-{left}")
        sealed = b""
        if act is not _set:
            work.set(DEK_1)
            assert work.vault.seals
            sealed = work.vault.seal_text(b'{"a":1}', b"p")
        try:
            act(work, Failing(work.directory.path, left))
        except _CutError:
            now = work.open()
            assert now.seals == (act is not _set or work.directory.exists(KEYRING))
            if sealed:
                assert now.open_text(sealed, b"p") == b'{"a":1}'
            act(work, work.directory)
            done = work.open()
            assert not done.is_locked
            if sealed:
                assert done.open_text(sealed, b"p") == b'{"a":1}'
            assert not work.directory.exists(NEXT_DEK)
            continue
        assert left > 0
        return
    raise AssertionError("it never came to its end")


def test_a_new_data_key_seals_and_the_old_ones_open(work: Workspace) -> None:
    with pytest.raises(NotFound):
        work.rotate_data()
    work.set(DEK_1)
    assert work.vault.seals
    first = work.vault.current
    sealed = work.vault.seal_text(b"{}", b"p")
    second = work.rotate_data()
    assert work.keys() == [first, second]
    assert work.vault.seals
    assert work.vault.current == second
    assert work.vault.open_text(sealed, b"p") == b"{}"


def test_a_data_key_that_was_used_often_is_replaced(work: Workspace) -> None:
    work.set(DEK_1)
    first = work.keys()[0]
    work.vault.refresh()
    work.vault.count(first)
    uses = Path(work.directory.path_of(f"keys/uses-{first.hex()}"))
    assert uses.stat().st_size == 1
    uses.write_bytes(b"." * (MOST_USES // COUNT_STEP - 1))
    assert work.open().seals
    assert work.keys() == [first]
    work.vault.count(first)
    work.vault.refresh()
    work.vault.refresh()
    assert len(work.keys()) == 2
    assert work.vault.current == work.keys()[1]


def test_sharing_a_keyring(work: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        keyring.export_keyring(work.directory, work.vault, b"word", os.urandom)
    work.set(DEK_1)
    assert work.vault.seals
    sealed = work.vault.seal_text(b"{}", b"p")
    export = keyring.export_keyring(work.directory, work.vault, b"word", os.urandom)
    data = encode_export(export)
    assert DEK_1 not in data
    other = Workspace(tmp_path / "other")

    def take(passphrase: bytes, dek: bytes | None) -> int:
        return keyring.import_keyring(
            other.directory, other.vault, decode_export(data), passphrase, dek=dek, entropy=os.urandom
        )

    with pytest.raises(KeyFailure, match="passphrase"):
        take(b"other", DEK_2)
    with pytest.raises(KeyFailure, match="no key"):
        take(b"word", None)
    assert other.keys() == []
    assert take(b"word", DEK_2) == 1
    assert other.vault.seals
    assert other.vault.open_text(sealed, b"p") == b"{}"
    assert take(b"word", None) == 0
    costly = export._replace(n=1 << 30)
    with pytest.raises(Invalid, match="more work"):
        keyring.import_keyring(other.directory, other.vault, costly, b"word", dek=None, entropy=os.urandom)


def test_two_keys_of_one_id_are_never_mixed(work: Workspace, tmp_path: Path) -> None:
    work.set(DEK_1)
    other = Workspace(tmp_path / "other")
    other.set(DEK_2)
    mine = keyring.read_keyring(work.directory)
    assert mine is not None
    foreign = keyring.export_keyring(other.directory, other.vault, b"word", os.urandom)
    # The same id for another key: sealed anew under the id of ours.
    from dbx.crypto.seal import key_from_passphrase
    from dbx.crypto.vault import wrap_key

    wrapping = key_from_passphrase(b"word", foreign.salt)
    key = foreign.keyring.keys[0]
    forged = key._replace(id=mine.keys[0].id, wrapped=wrap_key(wrapping, mine.keys[0].id, b"x" * 32, b"n" * 12))
    export = foreign._replace(keyring=foreign.keyring._replace(keys=(forged,)))
    with pytest.raises(Conflict):
        keyring.import_keyring(work.directory, work.vault, export, b"word", dek=None, entropy=os.urandom)


def test_a_dek_is_32_bytes_in_base64() -> None:
    assert parse_dek(base64.b64encode(DEK_1).decode() + "\n") == DEK_1
    for text in ("", "short", base64.b64encode(b"1" * 31).decode(), base64.b64encode(b"1" * 33).decode(), "é" * 44):
        with pytest.raises(Invalid) as caught:
            parse_dek(text)
        assert text not in str(caught.value) or not text
