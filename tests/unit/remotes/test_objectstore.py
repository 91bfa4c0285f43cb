"""The object store keeps the contract, of two pushes at once one wins, and a store that honours no conditions is told.

The contract runs over a small store whose objects are files; then everything once more with moto's server.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbx.errors import Conflict, DbxError, Invalid, RemoteFailure
from dbx.model.address import parse_address
from dbx.ops.clone import clone
from dbx.ops.fetch import pull
from dbx.ops.link import Access
from dbx.ops.push import push, push_aggregates
from dbx.ops.remote import add_remote, check_remote
from dbx.ops.session import Session, Who
from dbx.remotes.base import Means, connect
from dbx.repo.replica import offer as offers
from tests.history import append, fill, open_repository
from tests.unit.remotes.bucket import bucket
from tests.unit.remotes.contract import ACCESS, Far, TransportContract, assert_sound
from tests.unit.remotes.liar import raw_server

pytest.importorskip("obstore", reason="without obstore, object stores are NOT TESTED: pip install 'dbx[dev]'")


def set_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "canary-secret",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


class TestObjectStore(TransportContract):
    @pytest.fixture
    def far(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
        path = tmp_path / "far"
        path.mkdir()
        fill(path)
        with bucket(path) as url:
            set_endpoint(monkeypatch, url)
            yield Far(path, "s3://events")


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Session]:
    """A repository of three commits that has a remote which is empty as yet."""
    path = tmp_path / "near"
    path.mkdir()
    fill(path)
    yield from session_at(path)


def session_at(path: Path) -> Iterator[Session]:
    repository = open_repository(path)
    session = Session(repository, None, Who("ops", "jane", "jane"))
    try:
        yield session
    finally:
        repository.close()


def other(tmp_path: Path, url: str) -> Session:
    path = tmp_path / "other"
    path.mkdir()
    session = Session(open_repository(path), None, Who("ops", "joe", "joe"))
    clone(session, url, "default", ACCESS)
    return session


def add(near: Session, url: str = "s3://events/a/orders") -> None:
    add_remote(near, "origin", url, domain=None, token=None, start=".")


def test_a_store_from_its_first_push_on(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bucket(tmp_path / "store") as url:
        set_endpoint(monkeypatch, url)
        add(near)
        assert check_remote(near, None, ACCESS).head is None
        assert push(near, None, ACCESS).commits == 3
        assert push(near, None, ACCESS).up_to_date
        there = tmp_path / "store/a/orders"
        assert (there / "HEAD").read_bytes() == b"ref: refs/heads/main\n"
        assert not list(there.rglob(".dbx-check*"))
        joe = other(tmp_path, "s3://events/a/orders")
        assert offers.describe(joe.domain).head == offers.describe(near.domain).head
        append(joe.domain, "o-8")
        push(joe, None, ACCESS)
        assert pull(near, None, ACCESS).commits == 1
        assert check_remote(near, None, ACCESS).relation == "same"
        assert push_aggregates(near, None, "order", None, ACCESS).events == 0
        append(near.domain, "o-9")
        assert push_aggregates(near, None, "order", "o-9", ACCESS).events == 1
        assert clone(near, "s3://events/a#orders", "again", ACCESS).commits == 5
        joe.repository.close()
    assert_sound(Path(near.repository.path).parent)


def test_the_domain_behind_the_bucket_is_one_that_dbx_reads(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket(tmp_path / "store") as url:
        set_endpoint(monkeypatch, url)
        add(near)
        push(near, None, ACCESS)
    home = tmp_path / "home"
    home.mkdir()
    open_repository(home).close()
    (tmp_path / "store/a/orders").rename(home / ".dbx/domains/orders")
    assert_sound(home)


def test_of_two_pushes_at_once_one_wins(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raced: list[Callable[[], object]] = []

    def before_put(key: str) -> int | None:
        if key.endswith("refs/heads/main") and raced:
            raced.pop()()
        return None

    with bucket(tmp_path / "store", before_put=before_put) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        push(near, None, ACCESS)
        joe = other(tmp_path, "s3://events/a/orders")
        append(joe.domain, "o-8")
        append(near.domain, "o-9")
        raced.append(lambda: push(joe, None, ACCESS))
        with pytest.raises(Conflict, match="somebody else has pushed meanwhile") as refused:
            push(near, None, ACCESS)
        assert refused.value.hint == "run 'dbx pull'"
        done = pull(near, None, ACCESS)
        assert (done.commits, done.recommitted) == (1, 1)
        assert push(near, None, ACCESS).commits == 1
        assert pull(joe, None, ACCESS).commits == 1
        assert offers.describe(joe.domain).root == offers.describe(near.domain).root
        joe.repository.close()


def test_two_first_pushes_at_once(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raced: list[Callable[[], object]] = []

    def before_put(key: str) -> int | None:
        if key.endswith("domain.yaml") and raced:
            raced.pop()()
        return None

    path = tmp_path / "third"
    path.mkdir()
    fill(path, 2)
    third = Session(open_repository(path), None, Who("ops", "joe", "joe"))
    add(third)
    with bucket(tmp_path / "store", before_put=before_put) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        raced.append(lambda: push(third, None, ACCESS))
        with pytest.raises(Conflict):
            push(near, None, ACCESS)
        with pytest.raises(Conflict, match="no commit in common"):
            pull(near, None, ACCESS)
        assert push(third, None, ACCESS).up_to_date
    third.repository.close()


@pytest.mark.parametrize(
    ("honours", "condition"), [({"if_none_match": False}, "If-None-Match"), ({"if_match": False}, "If-Match")]
)
def test_a_store_without_conditions_is_told_and_not_pushed_to(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, honours: dict[str, bool], condition: str
) -> None:
    with bucket(tmp_path / "store", **honours) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        for act in (check_remote, push):
            with pytest.raises(RemoteFailure, match=f"does not honour '{condition}'") as refused:
                act(near, None, ACCESS)
            assert refused.value.status == 8
        assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


@pytest.mark.parametrize("file", ["segments/", "manifests/", "refs/heads/main", "domain.yaml"])
@pytest.mark.parametrize("status", [500, 507, 403])
def test_a_push_that_fails_midway_changes_nothing(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, status: int
) -> None:
    failing = [True]
    with bucket(tmp_path / "store", before_put=lambda key: status if failing[0] and file in key else None) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        with pytest.raises(DbxError) as refused:
            push(near, None, Access(timeout_s=0.5))
        assert refused.value.status == (6 if status == 403 else 8)
        assert "canary-secret" not in f"{refused.value} {refused.value.hint} {refused.value.details}"
        assert not list((tmp_path / "store").rglob("refs/heads/main"))
        failing[0] = False
        assert push(near, None, ACCESS).commits == 3
    assert_sound(Path(near.repository.path).parent)


SPOILS: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": lambda data: bytes([*data[:-20], data[-20] ^ 1, *data[-19:]]),
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + data,
    "empty": lambda data: b"",
    "gone": lambda data: None,
}


@pytest.mark.parametrize("file", ["segments/", "manifests/", "refs/heads/main"])
@pytest.mark.parametrize("name", SPOILS)
def test_spoilt_objects_change_nothing(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, name: str
) -> None:
    lying = [False]

    def spoil(key: str, data: bytes) -> bytes | None:
        return SPOILS[name](data) if lying[0] and file in key else data

    with bucket(tmp_path / "store", spoil=spoil) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        push(near, None, ACCESS)
        joe = other(tmp_path, "s3://events/a/orders")
        append(near.domain, "o-9")
        push(near, None, ACCESS)
        before = offers.describe(joe.domain).head
        lying[0] = True
        with pytest.raises(DbxError) as refused:
            pull(joe, None, ACCESS)
        assert refused.value.status == 8
        assert offers.describe(joe.domain).head == before
        lying[0] = False
        assert pull(joe, None, ACCESS).commits == 1
        joe.repository.close()


def test_a_store_that_is_not_there(near: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    set_endpoint(monkeypatch, f"http://127.0.0.1:{port}")
    add(near)
    for act in (pull, push, check_remote):
        with pytest.raises(RemoteFailure, match="cannot reach 's3://events/a/orders'"):
            act(near, None, Access(timeout_s=0.5))


def test_no_credentials_go_with_a_redirect(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        heads.append(request)
        there = b"http://127.0.0.1:%d/events/x" % port if request.startswith(b"GET /events") else b"file:///etc/passwd"
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % there)

    elsewhere: list[bytes] = []
    with raw_server(lambda connection, request: elsewhere.append(request)) as other_url, raw_server(answer) as url:
        port = int(other_url.split(":")[2].split("/")[0])
        set_endpoint(monkeypatch, url.removesuffix("/default"))
        add(near)
        with pytest.raises(RemoteFailure):
            pull(near, None, Access(timeout_s=0.5))
    assert heads
    assert b"authorization" in heads[0].lower()
    assert not [head for head in elsewhere if b"authorization" in head.lower() or b"canary" in head]


@pytest.mark.parametrize("url", ["s3://events/../x", "s3://events/a%00b", "s3://events/a/%2e%2e/b"])
def test_what_is_no_place_in_a_bucket(url: str) -> None:
    means = Means(lambda: 0, offers.Description, "x", lambda: None, lambda: None)  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="no place in a bucket"):
        connect(parse_address(url), None, means)


def test_without_the_extra(near: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    add(near)
    with pytest.raises(RemoteFailure, match="need an extra") as refused:
        pull(near, None, ACCESS)
    assert refused.value.hint == "install it: pip install 'dbx[object-store]'"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """moto's server as a process of its own, with the bucket `events`; its URL."""
    program = os.path.join(os.path.dirname(sys.executable), "moto_server")
    if not os.path.exists(program):
        pytest.skip("without moto, object stores are NOT TESTED against a real server: pip install 'dbx[dev]'")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
        signed = "AWS4-HMAC-SHA256 Credential=id/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        made = urllib.request.Request(f"{url}/events", method="PUT", headers={"Authorization": signed})
        urllib.request.urlopen(made, timeout=30).read()
        yield url
    finally:
        server.terminate()
        server.wait(20)


def test_with_a_real_server(near: Session, moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_endpoint(monkeypatch, moto)
    add(near, "s3://events/deep/er/orders")
    assert check_remote(near, None, ACCESS).relation == "behind"
    assert push(near, None, ACCESS).commits == 3
    joe = other(tmp_path, "s3://events/deep/er/orders")
    append(joe.domain, "o-8")
    append(near.domain, "o-9")
    assert push(joe, None, ACCESS).commits == 1
    with pytest.raises(Conflict):
        push(near, None, ACCESS)
    assert pull(near, None, ACCESS).recommitted == 1
    assert push(near, None, ACCESS).commits == 1
    assert pull(joe, None, ACCESS).commits == 1
    assert offers.describe(joe.domain) == offers.describe(near.domain)._replace(name=joe.domain.name)
    with pytest.raises(RemoteFailure, match="'nix' does not exist"):
        clone(near, "s3://events/deep", "copy", ACCESS, remote_domain="nix")
    joe.repository.close()
    assert_sound(Path(near.repository.path).parent)


def test_a_bucket_that_is_not_there(near: Session, moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_endpoint(monkeypatch, moto)
    add(near, "s3://nowhere/orders")
    for act in (check_remote, push):
        with pytest.raises(RemoteFailure):
            act(near, None, Access(timeout_s=0.5))
