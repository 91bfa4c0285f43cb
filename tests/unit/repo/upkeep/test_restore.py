"""Backup and restore: everything true comes back; whatever is wrong with a backup, the old workspace stays."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dbx.errors import Conflict, Corrupt, DbxError, Failure, KeyFailure
from dbx.formats.backup import Member, decode_header, encode_header, encode_sums
from dbx.formats.envelope import Actor
from dbx.formats.ustar import END, padding
from dbx.repo.check.domain import check_domain
from dbx.repo.repository import Repository
from dbx.repo.security import audit, tokens
from dbx.repo.upkeep.backup import is_secret, make_backup
from dbx.repo.upkeep.restore import Restored, restore_backup
from dbx.repo.vault import keys
from tests.history import append, fill, open_repository, stage_events

BY = Actor("local", "root")
PASSPHRASE = b"correct horse"


@pytest.fixture
def source(tmp_path: Path) -> Repository:
    fill(tmp_path / "a", 5)
    stage_events(tmp_path / "a", 2)
    repository = open_repository(tmp_path / "a")
    tokens.bootstrap(repository, BY)
    repository.create_domain("empty")
    return repository


def restore(backup: Path, where: Path, **options: bool | bytes) -> Restored:
    return restore_backup(str(backup), str(where), by=BY, clock=lambda: 1_800_000_000_000_000, **options)  # type: ignore[arg-type]


def head(repository: Repository, name: str = "default") -> tuple[int, str]:
    return repository.domain(name).read(lambda working, _: (working.head.seq, working.head.commit.hex()))


def files(where: Path) -> dict[str, bytes]:
    return {str(path.relative_to(where)): path.read_bytes() for path in where.rglob("*") if path.is_file()}


def test_what_is_true_comes_back_and_no_secret(source: Repository, tmp_path: Path) -> None:
    done = make_backup(source, str(tmp_path / "b"))
    restored = restore(tmp_path / "b", tmp_path / "r")
    assert (restored.replaced, restored.keys, restored.files) == (False, 0, done.files)
    found = Repository(restored.path, clock=source.clock)
    assert head(found) == head(source)
    assert found.domain_names() == ["default", "empty"]
    assert check_domain(found.directory.below("domains/default"), "default").clean
    staged = "domains/default/staging.jsonl"
    assert found.directory.read(staged, 1 << 20) == source.directory.read(staged, 1 << 20)
    assert [one.claims for one in tokens.list_tokens(found)] == [one.claims for one in tokens.list_tokens(source)]
    assert [entry.event for entry in audit.iterate(found)][-1] == "workspace.restore"
    audit.verify(found)
    names = files(tmp_path / "r")
    assert not [name for name in names if name.endswith(".pem") or name.endswith("cli.token")]
    plain = gzip.decompress((tmp_path / "b").read_bytes())
    assert keys.get_signing_key(source).seed not in plain
    assert b"PRIVATE KEY" not in plain
    append(found.domain("default"), "another")
    found.close()


def test_keys_come_back_with_the_passphrase_only(source: Repository, tmp_path: Path) -> None:
    done = make_backup(source, str(tmp_path / "b"), passphrase=PASSPHRASE)
    assert done.keys == 2
    assert b"PRIVATE KEY" not in gzip.decompress((tmp_path / "b").read_bytes())
    for wrong in (None, b"battery staple"):
        with pytest.raises(KeyFailure):
            restore(tmp_path / "b", tmp_path / "r", **({} if wrong is None else {"passphrase": wrong}))
        assert not (tmp_path / "r" / ".dbx").exists()
        assert not list((tmp_path / "r").iterdir())
    restored = restore(tmp_path / "b", tmp_path / "r", passphrase=PASSPHRASE)
    found = Repository(restored.path, clock=source.clock)
    assert keys.get_signing_key(found) == keys.get_signing_key(source)
    text = tokens.find_cli_token(found)
    assert text is not None
    assert tokens.authenticate(found, text)
    assert restore(tmp_path / "b", tmp_path / "s", without_keys=True).keys == 0


def test_what_is_there_is_replaced_only_by_force_and_whole(source: Repository, tmp_path: Path) -> None:
    make_backup(source, str(tmp_path / "b"))
    with pytest.raises(Conflict):
        make_backup(source, str(tmp_path / "b"))
    with pytest.raises(Failure):
        make_backup(source, str(Path(source.path) / "b"))
    before = head(source)
    append(source.domain("default"), "later")
    source.close()
    with pytest.raises(Conflict):
        restore(tmp_path / "b", tmp_path / "a")
    assert restore(tmp_path / "b", tmp_path / "a", force=True).replaced
    assert head(Repository(source.path, clock=source.clock)) == before
    assert [path.name for path in (tmp_path / "a").iterdir()] == [".dbx"]


def test_what_an_interrupted_restore_left_is_swept(source: Repository, tmp_path: Path) -> None:
    make_backup(source, str(tmp_path / "b"))
    left = tmp_path / "r" / ".dbx-restore-999999999"
    (left / "domains").mkdir(parents=True)
    (left / "HEAD").write_bytes(b"x")
    restore(tmp_path / "b", tmp_path / "r")
    assert not left.exists()


def test_a_backup_is_made_while_others_write(source: Repository, tmp_path: Path) -> None:
    stop = threading.Event()
    written = []

    def write() -> None:
        mine = Repository(source.path, clock=source.clock, wait_s=60)
        while not stop.is_set():
            written.append(append(mine.domain("default"), f"w-{len(written)}"))
        mine.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(3):
            backup = tmp_path / f"b{n}"
            done = make_backup(source, str(backup))
            restored = restore(backup, tmp_path / f"r{n}")
            found = Repository(restored.path, clock=source.clock)
            assert head(found) == (done.domains[0].seq, done.domains[0].commit)
            found.close()
    finally:
        stop.set()
        writer.join()
    assert written


Members = list[tuple[str, bytes]]


def unpack(path: Path) -> Members:
    data, at, found = gzip.decompress(path.read_bytes()), 0, []
    while (member := decode_header(data[at : at + 512])) is not None:
        found.append((member.name, data[at + 512 : at + 512 + member.size]))
        at += 512 + member.size + padding(member.size)
    return found


def pack(path: Path, members: Members) -> None:
    data = b"".join(encode_header(Member(n, len(d))) + d + bytes(padding(len(d))) for n, d in members) + END
    path.write_bytes(gzip.compress(data, 1))


def resummed(members: Members) -> Members:
    """With checksums that fit: what is wrong must be found without them."""
    from hashlib import sha256

    rest = [(name, data) for name, data in members if name != "SHA256SUMS"]
    return [*rest, ("SHA256SUMS", encode_sums([(sha256(data).hexdigest(), name) for name, data in rest]))]


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [one for one in members if one[0] != name]


def changed(part: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    return lambda members: [(name, change(data) if part in name else data) for name, data in members]


def flipped(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        without("SHA256SUMS"),
        changed("journal", flipped),
        changed("SHA256SUMS", flipped),
        lambda members: resummed(without("data/HEAD")(members)),
        lambda members: resummed(without("manifest.json")(members)),
        lambda members: resummed(changed("journal", flipped)(members)),
        lambda members: resummed(changed("journal", lambda data: data[: len(data) // 2])(members)),
        lambda members: resummed(changed("audit.jsonl", flipped)(members)),
        lambda members: resummed([one for one in members if "domain.yaml" not in one[0]]),
        lambda members: resummed([*members, ("data/keys/signing-x.pem", b"x")]),
        lambda members: resummed([*members, ("other", b"x")]),
        lambda members: resummed([*members, members[1]]),
        lambda members: [*members, ("data/behind", b"x")],
        lambda members: members[::-1],
        lambda members: members[:-3],
    ],
)
def test_a_spoilt_backup_changes_nothing(
    source: Repository, tmp_path: Path, spoil: Callable[[Members], Members]
) -> None:
    make_backup(source, str(tmp_path / "b"))
    source.close()
    members = unpack(tmp_path / "b")
    pack(tmp_path / "b", spoil(members))
    before = files(tmp_path / "a")
    with pytest.raises(Corrupt):
        restore(tmp_path / "b", tmp_path / "a", force=True)
    assert files(tmp_path / "a") == before


def test_bytes_that_are_no_backup(source: Repository, tmp_path: Path) -> None:
    make_backup(source, str(tmp_path / "b"))
    good = (tmp_path / "b").read_bytes()
    bomb = gzip.compress(bytes(50_000_000))
    for data in (
        b"",
        b"x" * 5000,
        good[: len(good) // 2],
        flipped(good),
        gzip.compress(b""),
        gzip.compress(good),
        bomb,
    ):
        (tmp_path / "b").write_bytes(data)
        with pytest.raises(DbxError):
            restore(tmp_path / "b", tmp_path / "r")
        assert not list((tmp_path / "r").iterdir())


def test_a_size_that_no_disk_holds(source: Repository, tmp_path: Path) -> None:
    make_backup(source, str(tmp_path / "b"))
    members = unpack(tmp_path / "b")
    data = b"".join(
        encode_header(Member(name, len(data))) + data + bytes(padding(len(data))) for name, data in members[:1]
    )
    endless = encode_header(Member("data/domains/default/segments/x.seg", 8**11 - 1))
    (tmp_path / "b").write_bytes(gzip.compress(data + endless + bytes(1 << 20)))
    with pytest.raises((Failure, Corrupt)):
        restore(tmp_path / "b", tmp_path / "r")
    assert not list((tmp_path / "r").iterdir())


def test_what_is_not_known_to_be_open_is_secret() -> None:
    assert not any(map(is_secret, ("HEAD", "config.yaml", "keys/known.json", "keys/keyring.yaml", "tokens.json")))
    assert all(
        map(is_secret, ("keys/dek", "keys/signing-1.pem", "cli.token", "credentials.yaml", "plugins.yaml", "new"))
    )
