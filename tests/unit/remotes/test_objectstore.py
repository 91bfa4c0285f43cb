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
from dbx.ops.fetch import fetch, pull
from dbx.ops.link import Access
from dbx.ops.push import push, push_aggregates
from dbx.ops.remote import add_remote, check_remote
from dbx.ops.session import Session, Who
from dbx.remotes.base import Means, connect
from dbx.repo.replica import offer as offers
from tests.history import append, fill, open_repository
from tests.unit.remotes.bucket import bucket
from tests.unit.remotes.contract import ACCESS, Far, TransportContract, assert_sound
from tests.unit.remotes.liar import drip, raw_server

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
        with pytest.raises(RemoteFailure, match="'s3://events/a/orders' failed: connection refused"):
            act(near, None, Access(timeout_s=0.5))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["another host", "another port", "the same", "a file"])
def test_no_redirect_is_followed(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, place: str
) -> None:
    """Not for the session's token, which is no Authorization header, nor for what would be believed there."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "canary-session")
    asked: list[str] = []
    with bucket(tmp_path / "store", before_get=asked.append) as elsewhere:
        there = {
            "another host": elsewhere.replace("127.0.0.1", "localhost"),
            "another port": elsewhere,
            "the same": "",
            "a file": "file://",
        }[place]
        redirecting = {"redirect": (status, there)}
        with bucket(tmp_path / "store", **redirecting) as url:
            set_endpoint(monkeypatch, url)
            add(near)
            before = offers.describe(near.domain)
            for act in (pull, push, fetch, check_remote):
                with pytest.raises(RemoteFailure, match="redirects to another address") as refused:
                    act(near, None, Access(timeout_s=1))
                assert "canary" not in f"{refused.value} {refused.value.hint} {refused.value.details}"
        assert asked == []
        assert not (tmp_path / "store").exists()
    assert offers.describe(near.domain) == before
    assert_sound(Path(near.repository.path).parent)


def test_credentials_are_in_no_request(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address is signed with them; what is stored of a token for our own servers stays here too."""
    heads: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        heads.append(request)
        connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with raw_server(answer) as url:
        set_endpoint(monkeypatch, url.removesuffix("/default"))
        add_remote(near, "origin", "s3://events/a/orders", domain=None, token="canary-token", start=".")
        with pytest.raises(RemoteFailure):
            push(near, None, Access(timeout_s=1))
    assert any(head.startswith(b"PUT /events/a/orders/") for head in heads)
    for head in heads:
        assert b"X-Amz-Signature=" in head.split(b" ")[1]
        assert b"canary" not in head


SLOW: dict[str, Callable[[socket.socket, bytes], None]] = {
    "hangs up": lambda connection, head: None,
    "silent": lambda connection, head: time.sleep(3),
    "dripping": lambda connection, head: drip(connection, head, for_s=10),
    "endless": lambda connection, head: connection.sendall(
        b"HTTP/1.1 200 OK\r\nETag: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"10000\r\n" + bytes(65536) + b"\r\n") * 500
    ),
    "said to be huge": lambda connection, head: connection.sendall(
        b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 1000000000000\r\n\r\n" + bytes(1 << 20)
    ),
    "cut short": lambda connection, head: connection.sendall(
        b"HTTP/1.1 200 OK\r\nETag: x\r\nContent-Length: 500\r\n\r\nid: 7"
    ),
    "not HTTP": lambda connection, head: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "an error that quotes": lambda connection, head: connection.sendall(
        b"HTTP/1.1 400 Bad\r\nContent-Length: 62\r\n\r\n<Error><Code>Odd</Code><Message>canary-secret</Message></Error>"
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_store_that_does_not_play_along(near: Session, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = offers.describe(near.domain)
    with raw_server(SLOW[name]) as url:
        set_endpoint(monkeypatch, url.removesuffix("/default"))
        add(near)
        for act in (pull, push):
            began = time.monotonic()
            with pytest.raises(RemoteFailure) as refused:
                act(near, None, Access(timeout_s=0.3))
            assert time.monotonic() - began < 20
            assert refused.value.hint is not None
            assert "canary" not in f"{refused.value} {refused.value.hint} {refused.value.details}"
    assert offers.describe(near.domain) == before
    assert_sound(Path(near.repository.path).parent)


def test_a_store_that_is_busy_is_asked_again(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"manifests/": [503, 500], "refs/heads/main": [503]}

    def before_put(key: str) -> int | None:
        return next((left.pop() for part, left in busy.items() if part in key and left), None)

    with bucket(tmp_path / "store", before_put=before_put) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        assert push(near, None, ACCESS).commits == 3
        assert not any(busy.values())


def test_an_answer_that_was_lost_is_no_lost_race(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store did what it was asked, and said that it failed: the second attempt finds our own bytes there."""
    lost = ["refs/heads/main", "refs/heads/main", "domain.yaml"]

    def after_put(key: str) -> int | None:
        found = next((one for one in lost if key.endswith(one)), None)
        if found is None:
            return None
        lost.remove(found)
        return 500

    with bucket(tmp_path / "store", after_put=after_put) as url:
        set_endpoint(monkeypatch, url)
        add(near)
        assert push(near, None, ACCESS).commits == 3
        append(near.domain, "o-9")
        assert push(near, None, ACCESS).commits == 1
        assert lost == []
        joe = other(tmp_path, "s3://events/a/orders")
        assert offers.describe(joe.domain).head == offers.describe(near.domain).head
        joe.repository.close()


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
