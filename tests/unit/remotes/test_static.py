"""A domain's files behind a plain web server: read as any remote, and nothing that lies is believed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dbx.errors import DbxError, RemoteFailure
from dbx.ops.clone import clone
from dbx.ops.fetch import fetch, pull, pull_aggregates
from dbx.ops.push import push, push_aggregates
from dbx.ops.remote import check_remote, set_url
from dbx.ops.session import Session
from dbx.repo.replica import offer as offers
from dbx.repo.upkeep.gc import collect
from tests.history import append, fill
from tests.unit.remotes.contract import ACCESS, Far, ReadContract, assert_sound, cloned, grow, head, opened
from tests.unit.remotes.web import web_server


class TestStatic(ReadContract):
    @pytest.fixture
    def far(self, tmp_path: Path) -> Iterator[Far]:
        path = tmp_path / "far"
        path.mkdir()
        fill(path)
        with web_server(path) as web:
            yield Far(path, f"static+{web.url}")

    def test_a_push_is_refused_with_a_hint(self, cloned: Session, far: Far) -> None:
        assert push(cloned, None, ACCESS).up_to_date
        append(cloned.domain, "o-7")
        assert push(cloned, None, ACCESS, dry_run=True).commits == 1
        for act in (lambda: push(cloned, None, ACCESS), lambda: push_aggregates(cloned, None, "order", "o-7", ACCESS)):
            with pytest.raises(RemoteFailure, match="can only be read") as refused:
                act()
            assert refused.value.hint is not None
            assert "dbx serve" in refused.value.hint
        assert_sound(far.path)

    def test_single_aggregates_come(self, near: Session, far: Far) -> None:
        assert clone(near, far.url, "part", ACCESS, aggregate_type="order", aggregate_id="all").partial
        part = Session(near.repository, "part", near.who)
        grow(far.path, "all", "o-3")
        assert pull_aggregates(part, None, "order", "all", ACCESS).events == 1

    def test_journals_are_read_and_sealed_ones_too(self, cloned: Session, far: Far) -> None:
        for name in ("o-5", "o-6"):
            grow(far.path, name)
            assert pull(cloned, None, ACCESS).commits == 1
        with opened(far.path) as domain:
            collect(domain)  # which merges the segments: ours now ends within one of theirs
        grow(far.path, "o-7")
        assert pull(cloned, None, ACCESS).commits == 1
        assert head(far.path) == offers.describe(cloned.domain).head
        assert_sound(Path(cloned.repository.path).parent)

    def test_without_ranges(self, near: Session, far: Far) -> None:
        with opened(far.path) as domain:
            collect(domain)
        with web_server(far.path, ranges=False) as web:
            assert clone(near, f"static+{web.url}", "copy", ACCESS).commits == 3


@pytest.fixture
def far(tmp_path: Path) -> Path:
    path = tmp_path / "far"
    path.mkdir()
    fill(path)
    with opened(path) as domain, offers.offering(domain, offers.START):
        pass  # which seals
    return path


@pytest.fixture
def near(tmp_path: Path, far: Path) -> Iterator[Session]:
    """A clone that is two commits behind, one of them in a journal."""
    with cloned(far, tmp_path / "near") as session:
        grow(far, "o-1", "o-9")
        with opened(far) as domain, offers.offering(domain, offers.START):
            pass
        grow(far, "all")
        yield session


def point_at(near: Session, url: str) -> None:
    set_url(near, "origin", url, domain=None, token=None, start=".")


@pytest.mark.parametrize("inner", ["", "/.dbx", "/.dbx/domains/default"])
def test_http_finds_out_that_nobody_serves(near: Session, far: Path, inner: str) -> None:
    with web_server(far) as web:
        point_at(near, web.url + inner)
        assert check_remote(near, None, ACCESS).relation == "ahead"
        assert pull(near, None, ACCESS).commits == 2
        assert pull(near, None, ACCESS).up_to_date
    assert_sound(Path(near.repository.path).parent)


def test_the_web_server_of_python_itself(near: Session, far: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(far)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split(" port ")[1].split()[0]
        point_at(near, f"http://127.0.0.1:{port}")
        assert pull(near, None, ACCESS).commits == 2
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close() if server.stdout else None


def test_a_pull_without_news_fetches_no_segment(near: Session, far: Path) -> None:
    with web_server(far) as web:
        point_at(near, f"static+{web.url}")
        pull(near, None, ACCESS)
        web.asked.clear()
        assert pull(near, None, ACCESS).up_to_date
        assert not [path for path in web.asked if "segments" in path]
        assert len(web.asked) <= 12


def flip(part: float):  # type: ignore[no-untyped-def]
    def spoil(data: bytes) -> bytes:
        spoiled = bytearray(data)
        spoiled[int((len(data) - 1) * part)] ^= 0x10
        return bytes(spoiled)

    return spoil


SPOILS = {
    **{f"flipped at {part}": flip(part) for part in (0.0, 0.2, 0.5, 0.8, 1.0)},
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "longer": lambda data: data + b"x" * 70_000_000,
    "a page": lambda data: b"<html><body>hello</body></html>\n",
    "gone": lambda data: None,
    "another file": lambda data: b"commit " + b"0" * 64 + b" 9\nmanifest " + b"1" * 64 + b"\n",
}
FILES = ["segments/", "manifests/", "refs/heads/main", "domain.yaml", "journal-"]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", SPOILS)
def test_spoilt_files_change_nothing(near: Session, far: Path, file: str, name: str) -> None:
    before = offers.describe(near.domain)
    true_heads = {before.head, head(far)}

    def spoil(path: str, data: bytes) -> bytes | None:
        return SPOILS[name](data) if file in path else data

    # What is left out where a journal ends is a torn write to every reader: then the remote has a commit less; and who
    # has no ref is an empty domain.
    harmless = file == "journal-" or (file, name) == ("refs/heads/main", "gone")
    harmless |= file == "domain.yaml" and name.startswith("flipped")
    with web_server(far, spoil) as web:
        point_at(near, f"static+{web.url}")
        for act in (fetch, pull):
            assert status_of(act, near) in ({8, 4, 0} if harmless else {8})
    found = offers.describe(near.domain).head
    assert found in true_heads or harmless
    assert not list(Path(near.domain.directory.path, "quarantine").iterdir())
    near.domain.close()
    assert_sound(Path(near.repository.path).parent)
    with web_server(far) as web:
        point_at(near, f"static+{web.url}")
        pull(near, None, ACCESS)
    assert offers.describe(near.domain).head == head(far)


def test_an_older_head_is_refused_with_evidence(near: Session, far: Path) -> None:
    ref = next(far.glob(".dbx/domains/*/refs/heads/main"))
    old: list[bytes] = []

    def spoil(path: str, data: bytes) -> bytes | None:
        if path.endswith("refs/heads/main") and old:
            return old[0]
        return data

    with web_server(far, spoil) as web:
        point_at(near, f"static+{web.url}")
        pull(near, None, ACCESS)
        old.append(ref.read_bytes())
        grow(far, "o-5")
        with opened(far) as domain, offers.offering(domain, offers.START):
            pass
        old.clear()
        pull(near, None, ACCESS)
        old.append(ref.read_bytes().replace(b"commit", b"commit"))
        manifest = sorted(far.glob(".dbx/domains/*/manifests/*"), key=lambda path: path.stat().st_mtime)[0]
        last = manifest.read_text().splitlines()[-1].split()
        old[0] = f"commit {last[4]} {last[3]}\nmanifest {manifest.name}\n".encode()
        with pytest.raises(RemoteFailure) as refused:
            pull(near, None, ACCESS)
        assert refused.value.details["reason"] == "older"


def status_of(act: Callable[..., object], near: Session) -> int:
    try:
        act(near, None, ACCESS)
    except DbxError as error:
        return error.status
    return 0


def test_nothing_is_there(near: Session, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with web_server(tmp_path / "empty") as web:
        for scheme in ("", "static+"):
            point_at(near, f"{scheme}{web.url}/nothing")
            with pytest.raises(RemoteFailure, match="no domain's files are there"):
                pull(near, None, ACCESS)


def test_a_clone_that_is_cut_goes_on_where_it_was(near: Session, far: Path) -> None:
    """What came whole is hashed again, and not asked for again; what came short is."""
    for name in ("o-5", "o-6"):
        grow(far, name)
        with opened(far) as domain, offers.offering(domain, offers.START):
            pass
    cut = [True]

    def spoil(path: str, data: bytes) -> bytes | None:
        whole = not cut[0] or len([one for one in web.asked if "segments/" in one]) < 3
        return data if whole or "segments/" not in path else data[: len(data) // 2]

    with web_server(far, spoil) as web:
        with pytest.raises(RemoteFailure):
            clone(near, f"static+{web.url}", "copy", ACCESS)
        assert "copy" not in near.repository.domain_names()
        cut[0] = False
        first = {path for path in web.asked if "segments/" in path}
        web.asked.clear()
        done = clone(near, f"static+{web.url}", "copy", ACCESS)
        again = {path for path in web.asked if "segments/" in path}
    assert (done.commits, done.resumed > 0) == (7, True)
    assert first - again
    assert_sound(Path(near.repository.path).parent)
