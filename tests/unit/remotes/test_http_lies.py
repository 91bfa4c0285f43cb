"""A remote that lies, stalls or is not what it should be: status 8, nothing changed, both sides sound."""

from __future__ import annotations

import io
import json
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dbx.errors import Conflict, DbxError, RemoteFailure
from dbx.ops.clone import clone
from dbx.ops.fetch import fetch, pull
from dbx.ops.link import Access
from dbx.ops.push import push
from dbx.ops.remote import set_url
from dbx.ops.session import Session
from dbx.repo.domain import Domain
from dbx.repo.replica import offer as offers
from tests.history import append, open_repository
from tests.unit.remotes.contract import assert_sound, cloned, filled, grow, root
from tests.unit.remotes.liar import drip, lying, raw_server

ACCESS = Access(timeout_s=1.0)


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return filled(tmp_path / "far")


@pytest.fixture
def near(tmp_path: Path, far: Path) -> Iterator[Session]:
    """A clone that is two commits behind."""
    with cloned(far, tmp_path / "near") as session:
        grow(far, "o-1", "o-9")
        grow(far, "all")
        yield session


def point_at(near: Session, url: str) -> None:
    set_url(near, "origin", url, domain=None, token=None, start=".")


def members(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = []
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found.append((member.name, file.read()))
        return found


def pack(parts: list[tuple[str, bytes]], kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in parts:
            info = tarfile.TarInfo(name)
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            info.type = kind if name.startswith("segments/") else tarfile.REGTYPE
            info.linkname = "/etc/passwd" if info.type != tarfile.REGTYPE else ""
            archive.addfile(info, io.BytesIO(data) if info.type == tarfile.REGTYPE else None)
    return out.getvalue()


def flipped_at(part: float) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        spoiled = bytearray(data)
        spoiled[int((len(data) - 1025) * part)] ^= 0x10
        return bytes(spoiled)

    return flip


def other_object(data: bytes) -> bytes:
    return pack([(name, b"DBXSEG1\n" + body[8:][::-1] if "segments" in name else body) for name, body in members(data)])


def traversal(data: bytes) -> bytes:
    return pack([("segments/../../../../evil" if "segments" in name else name, body) for name, body in members(data)])


def extra_member(data: bytes) -> bytes:
    return pack([*members(data), ("../evil", b"x")])


def swapped(data: bytes) -> bytes:
    first, second, *others = members(data)
    return pack([second, first, *others])


BUNDLES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "cut at a member": lambda data: data[:512],
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "without its end": lambda data: data[:-1024],
    "another object under the hash": other_object,
    "a name that leaves the directory": traversal,
    "a member too many": extra_member,
    "another order": swapped,
    "a link": lambda data: pack(members(data), tarfile.SYMTYPE),
    "a hard link": lambda data: pack(members(data), tarfile.LNKTYPE),
    "a device": lambda data: pack(members(data), tarfile.CHRTYPE),
    "a FIFO": lambda data: pack(members(data), tarfile.FIFOTYPE),
    "not an archive": lambda data: b"<html>" * 1000,
    "zeros": lambda data: bytes(4096),
    **{f"flipped at {part}": flipped_at(part) for part in (0.02, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 0.98)},
}


@pytest.mark.parametrize("act", [pull, fetch])
@pytest.mark.parametrize("name", BUNDLES)
def test_a_spoilt_bundle_changes_nothing(near: Session, far: Path, name: str, act: Callable[..., object]) -> None:
    before = offers.describe(near.domain)
    with lying(far, lambda path, data: BUNDLES[name](data) if path.endswith("/bundle") else data) as url:
        point_at(near, url)
        with suppress(RemoteFailure) if name.startswith("flipped") else pytest.raises(RemoteFailure):
            act(near, None, ACCESS)
    # A flipped bit may be one that nobody reads, as a tar header's owner: then what came is what was sent.
    assert offers.describe(near.domain).head in (before.head, *([head_of(far)] if name.startswith("flipped") else ()))
    assert not list(Path(near.domain.directory.path, "quarantine").iterdir())
    assert not Path(near.domain.directory.path).parent.joinpath("evil").exists()
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)
    assert_sound(far)


def head_of(path: Path) -> object:
    repository = open_repository(path)
    try:
        return offers.describe(repository.domain()).head
    finally:
        repository.close()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"error":1}',
        b"<html>",
        b"\xff\xfe",
        b'{"protocol":2}',
        b"{" * 100_000,
        b"1" * 2_000_000,
    ],
)
def test_a_server_that_talks_nonsense(near: Session, far: Path, said: bytes) -> None:
    with lying(far, lambda path, data: said) as url:
        point_at(near, url)
        with pytest.raises(RemoteFailure):
            pull(near, None, ACCESS)


def test_a_mix_of_times_is_refused_with_evidence(near: Session, far: Path) -> None:
    old: list[bytes] = []

    def spoil(path: str, data: bytes) -> bytes:
        if path.endswith("/bundle"):
            old.append(data)
            return old[0]
        return data

    with lying(far, spoil) as url:
        point_at(near, url)
        fetch(near, None, ACCESS)
        grow(far, "o-5")
        with pytest.raises(RemoteFailure) as refused:
            pull(near, None, ACCESS)
    assert refused.value.details["reason"] == "mixed"
    assert Path(refused.value.details["evidence"]).exists()


def serving(text: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, head: connection.sendall(text)


def endless(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def silent(connection: socket.socket, head: bytes) -> None:
    connection.recv(1)


def drip_headers(connection: socket.socket, head: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-A: b\r\n")
        import time

        time.sleep(0.05)


REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
SERVERS: dict[str, Callable[[socket.socket, bytes], None]] = {
    "hangs up": lambda connection, head: None,
    "silent": silent,
    "dripping": drip,
    "dripping headers": drip_headers,
    "endless": endless,
    "not HTTP": serving(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "cut short": serving(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"),
    "a long header": serving(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"),
    "redirects to another host": serving(REDIRECT % b"http://example.org/default/dbx/v1/describe"),
    "redirects to a file": serving(REDIRECT % b"file:///etc/passwd"),
    "redirects to itself": serving(REDIRECT % b"/default/dbx/v1/describe"),
    "fails": serving(b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"),
}


@pytest.mark.parametrize("scheme", ["", "static+"])
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_does_not_play_along(near: Session, far: Path, name: str, scheme: str) -> None:
    before = offers.describe(near.domain)
    with raw_server(SERVERS[name]) as url:
        point_at(near, f"{scheme}{url}")
        for act in (pull, push):
            began = time.monotonic()
            with pytest.raises(RemoteFailure) as refused:
                act(near, None, ACCESS)
            assert refused.value.hint is not None
            assert time.monotonic() - began < 30
    assert offers.describe(near.domain) == before
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)
    assert_sound(far)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_clone_of_a_spoilt_bundle_makes_no_domain(near: Session, far: Path, name: str) -> None:
    """And what came of it is in no way of the next attempt, with a server that does not lie."""
    # A flipped bit may be one that nobody reads.
    refusal = suppress(RemoteFailure) if name.startswith("flipped") else pytest.raises(RemoteFailure)
    with lying(far, lambda path, data: BUNDLES[name](data) if path.endswith("/bundle") else data) as url, refusal:
        clone(near, url, "copy", ACCESS)
    made = "copy" in near.repository.domain_names()
    assert name.startswith("flipped") or not made
    with lying(far, lambda path, data: data) as url:
        assert made or clone(near, url, "copy", ACCESS).commits == 5
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)


def changed(data: bytes, **members: object) -> bytes:
    return json.dumps({**json.loads(data), **members}).encode()


FAKE = "ab" * 32
DESCRIBED: dict[str, Callable[[bytes], bytes]] = {
    "a head that is not there": lambda data: changed(data, head={"commit": FAKE, "position": 9, "seq": 9}),
    "another head at the same place": lambda data: changed(data, head={**json.loads(data)["head"], "commit": FAKE}),
    "another domain": lambda data: changed(data, domain="00000000-0000-0000-0000-000000000001"),
    "another root": lambda data: changed(data, root=FAKE),
    "a name that leaves the directory": lambda data: changed(data, name="../evil"),
    "schemas that are not there": lambda data: changed(data, schemas=FAKE),
    "schemas that leave the directory": lambda data: changed(data, schemas="../" * 20),
    "a negative place": lambda data: changed(data, head={"commit": FAKE, "position": -9, "seq": 9}),
    "a huge place": lambda data: changed(data, head={"commit": FAKE, "position": 2**63, "seq": 2**63}),
    "no head": lambda data: changed(data, head=None),
    "more members": lambda data: changed(data, more="x" * 2_000_000),
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_server_that_says_it_stands_elsewhere(near: Session, far: Path, name: str) -> None:
    """What it says is compared with what it then sends; a root that is only said is believed by nobody."""
    before, theirs = offers.describe(near.domain), head_of(far)
    with lying(far, lambda path, data: DESCRIBED[name](data) if path.endswith("/describe") else data) as url:
        point_at(near, url)
        for act in (fetch, pull, push):
            with suppress(RemoteFailure, Conflict):
                act(near, None, ACCESS)
            assert head_of(far) == theirs
        with suppress(RemoteFailure, Conflict):
            clone(near, url, None, ACCESS, remote_domain="default")
    found = offers.describe(near.domain)
    assert found.head in (before.head, theirs)
    assert found.root in (before.root, root(far))
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)
    assert_sound(far)
    point_at(near, str(far))
    pull(near, None, ACCESS)
    assert offers.describe(near.domain).head == theirs


def test_a_token_goes_to_its_address_and_nowhere_else(near: Session, far: Path) -> None:
    heads: list[bytes] = []

    def answer(connection: socket.socket, head: bytes) -> None:
        heads.append(head)
        connection.sendall(REDIRECT % b"http://localhost:1/")

    with raw_server(answer) as url:
        set_url(near, "origin", url, domain=None, token="canary-token", start=".")
        with pytest.raises(RemoteFailure) as refused:
            pull(near, None, ACCESS)
        assert b"Authorization: Bearer canary-token" in heads[0]
        assert b"canary-token" not in heads[0].split(b"\r\n")[0]
        assert "canary-token" not in str(refused.value)
        point_at(near, url.replace("/default", "/other"))
        with pytest.raises(RemoteFailure):
            pull(near, None, ACCESS)
        assert b"canary-token" not in heads[-1]
    credentials = Path(near.repository.path, "credentials.yaml")
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert "canary-token" not in near.domain.directory.read("domain.yaml", 1 << 20).decode()


def test_credentials_that_others_can_read_are_not_used(near: Session) -> None:
    set_url(near, "origin", "http://127.0.0.1:1/x", domain=None, token="t", start=".")
    Path(near.repository.path, "credentials.yaml").chmod(0o644)
    with pytest.raises(DbxError) as refused:
        pull(near, None, ACCESS)
    assert refused.value.status == 6


def test_a_dead_server(near: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    point_at(near, f"http://127.0.0.1:{port}/default")
    with pytest.raises(RemoteFailure, match="connection refused"):
        pull(near, None, ACCESS)


def test_a_name_that_nobody_has(near: Session) -> None:
    point_at(near, "http://nowhere.invalid/default")
    with pytest.raises(RemoteFailure):
        pull(near, None, ACCESS)


def test_the_pull_after_all_that_works(near: Session, far: Path) -> None:
    with lying(far, lambda path, data: data[:900] if path.endswith("/bundle") else data) as url:
        point_at(near, url)
        with pytest.raises(RemoteFailure):
            pull(near, None, ACCESS)
    with lying(far, lambda path, data: data) as url:
        point_at(near, url)
        assert pull(near, None, ACCESS).commits == 2
    domain: Domain = near.domain
    append(domain, "o-7")
    assert_sound(far)
