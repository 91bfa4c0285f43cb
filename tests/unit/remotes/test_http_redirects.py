"""No redirect is followed, wherever it leads and whatever was asked: status 8, and nobody else is asked anything."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbx.errors import RemoteFailure
from dbx.ops.clone import clone
from dbx.ops.fetch import fetch, pull, pull_aggregates, pull_schemas
from dbx.ops.link import Access
from dbx.ops.push import push, push_aggregates, push_schemas
from dbx.ops.remote import check_remote, set_url
from dbx.ops.session import Session
from dbx.repo.replica import offer as offers
from tests.history import append
from tests.unit.remotes.contract import assert_sound, cloned, filled, grow, head
from tests.unit.remotes.liar import lying, raw_server

ACCESS = Access(timeout_s=2.0)
PLACES = {
    "another host": "http://localhost:{port}/default",
    "another port": "http://127.0.0.1:{port}/default",
    "itself": "{url}",
    "the same by TLS": "https://127.0.0.1:{own}/default",
    "another host by TLS": "https://localhost:{port}/default",
    "without a scheme": "//localhost:{port}/default",
    "a path": "/other/dbx/v1/describe",
    "a file": "file:///etc/passwd",
    "data": "data:application/json,%7B%7D",
    "ftp": "ftp://127.0.0.1:{port}/x",
    "with a password": "http://user:secret@127.0.0.1:{port}/default",
    "nothing": "",
    "garbage": "http://[::1",
}
ACTS: dict[str, Callable[[Session], object]] = {
    "pull": lambda near: pull(near, None, ACCESS),
    "fetch": lambda near: fetch(near, None, ACCESS),
    "push": lambda near: push(near, None, ACCESS),
    "check": lambda near: check_remote(near, None, ACCESS),
    "pull schema": lambda near: pull_schemas(near, None, ACCESS),
    "push schema": lambda near: push_schemas(near, None, ACCESS),
    "pull aggregates": lambda near: pull_aggregates(near, None, "order", None, ACCESS),
    "push aggregates": lambda near: push_aggregates(near, None, "order", None, ACCESS),
}


@pytest.fixture
def far(tmp_path: Path) -> Path:
    return filled(tmp_path / "far")


@pytest.fixture
def near(tmp_path: Path, far: Path) -> Iterator[Session]:
    """A clone with a commit of its own."""
    with cloned(far, tmp_path / "near") as session:
        append(session.domain, "o-7")
        yield session


@contextmanager
def redirecting(status: int, place: str) -> Iterator[tuple[str, list[bytes], list[bytes]]]:
    """A server that only redirects: its URL, what it was asked, and what anybody was asked where it points."""
    asked: list[bytes] = []
    elsewhere: list[bytes] = []
    said: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(b"HTTP/1.1 %d Moved\r\n%bContent-Length: 0\r\n\r\n" % (status, said[0]))

    with raw_server(lambda connection, request: elsewhere.append(request)) as other, raw_server(answer) as url:
        own, port = (one.split(":")[2].split("/")[0] for one in (url, other))
        there = PLACES[place].format(port=port, own=own, url=f"{url}/dbx/v1/describe")
        said.append(b"" if place == "nothing" else b"Location: %b\r\n" % there.encode())
        yield url, asked, elsewhere


@pytest.mark.parametrize("scheme", ["", "static+"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(near: Session, status: int, place: str, scheme: str) -> None:
    before = offers.describe(near.domain)
    with redirecting(status, place) as (url, asked, elsewhere):
        set_url(near, "origin", f"{scheme}{url}", domain=None, token="canary-token", start=".")
        with pytest.raises(RemoteFailure, match="redirects to another address, which is not followed") as refused:
            pull(near, None, ACCESS)
        assert refused.value.hint is not None
        assert "dbx remote set-url" in refused.value.hint
        assert "secret" not in str(refused.value)
        assert "canary" not in f"{refused.value} {refused.value.hint}"
        assert len(asked) == 1
        assert elsewhere == []
    assert offers.describe(near.domain) == before


@pytest.mark.parametrize("act", ACTS)
def test_whatever_is_asked(near: Session, act: str) -> None:
    before = offers.describe(near.domain)
    with redirecting(307, "another port") as (url, _, elsewhere):
        set_url(near, "origin", url, domain=None, token=None, start=".")
        with pytest.raises(RemoteFailure, match="redirects"):
            ACTS[act](near)
        with pytest.raises(RemoteFailure, match="redirects"):
            clone(near, url, "copy", ACCESS)
        assert elsewhere == []
    assert offers.describe(near.domain) == before
    assert near.repository.domain_names() == ["default"]
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)


@pytest.mark.parametrize(
    ("act", "verb"),
    [
        ("push", "bundle"),
        ("push aggregates", "roots"),
        ("push aggregates", "events"),
        ("pull aggregates", "prefixes"),
        ("pull aggregates", "histories"),
        ("pull", "commits"),
    ],
)
def test_in_the_middle_of_a_conversation(near: Session, far: Path, act: str, verb: str) -> None:
    """It says where it stands, and points elsewhere once there is something to send or to bring."""
    if act.startswith("pull"):
        grow(far, "o-8", "o-0")
    before, theirs = offers.describe(near.domain), head(far)
    elsewhere: list[bytes] = []
    with raw_server(lambda connection, request: elsewhere.append(request)) as other:

        def redirect(path: str) -> str | None:
            return other if path.endswith(f"/{verb}") else None

        with lying(far, lambda path, data: data, redirect) as url:
            set_url(near, "origin", url, domain=None, token=None, start=".")
            with pytest.raises(RemoteFailure, match="redirects"):
                ACTS[act](near)
    assert elsewhere == []
    assert (offers.describe(near.domain), head(far)) == (before, theirs)
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)
    assert_sound(far)
