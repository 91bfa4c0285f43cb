"""What a workspace seals stays sealed where files are read and put: in a bucket, in quarantine, in copies and cuts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.ops.clone import clone
from dbx.ops.fetch import pull
from dbx.ops.push import push, push_aggregates
from dbx.ops.remote import add_remote
from dbx.ops.session import Session, Who
from dbx.repo.replica import offer as offers
from dbx.repo.replica.recode import PLAIN, body_keys
from dbx.repo.upkeep.gc import collect
from dbx.repo.vault.keyring import set_dek
from tests.history import append, fill, open_repository
from tests.unit.remotes.bucket import bucket
from tests.unit.remotes.contract import ACCESS, assert_sound, grow, opened
from tests.unit.remotes.web import web_server


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Session]:
    """An empty workspace that seals."""
    path = tmp_path / "near"
    path.mkdir()
    repository = open_repository(path)
    set_dek(repository.directory, b"k" * 32, store=True, clock=repository.clock, entropy=os.urandom)
    try:
        yield Session(repository, None, Who("ops", "jane", "jane"))
    finally:
        repository.close()


def assert_sealed(folder: Path) -> None:
    """There are segments, and none of them holds a plain body."""
    segments = list(folder.rglob("*.seg"))
    assert segments
    for segment in segments:
        with segment.open("rb") as file:
            assert PLAIN not in body_keys(file.fileno(), segment.name)


def test_a_bucket_gets_sealed_bodies(near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore", reason="without obstore, object stores are NOT TESTED: pip install 'dbx[dev]'")
    from tests.unit.remotes.test_objectstore import set_endpoint

    for name in ("o-1", "o-2", "o-3"):
        append(near.domain, name)
    with bucket(tmp_path / "store") as url:
        set_endpoint(monkeypatch, url)
        add_remote(near, "origin", "s3://events/orders", domain=None, token=None, start=".")
        assert push(near, None, ACCESS).commits == 3
        append(near.domain, "o-2", "o-9")
        assert push_aggregates(near, None, "order", "o-9", ACCESS).events == 1
        assert_sealed(tmp_path / "store")
        path = tmp_path / "joe"
        path.mkdir()
        repository = open_repository(path)
        shutil.copytree(Path(near.repository.path, "keys"), path / ".dbx/keys", dirs_exist_ok=True)
        joe = Session(repository, None, Who("ops", "joe", "joe"))
        assert clone(joe, "s3://events/orders", "default", ACCESS).commits == 4
        assert_sealed(path)
        assert offers.describe(joe.domain).head.seq == 3
        repository.close()
    assert_sound(path)


def test_what_comes_plain_is_sealed_here(near: Session, tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    fill(far)
    with web_server(far) as web:
        clone(near, f"static+{web.url}", "default", ACCESS)
        grow(far, "o-5")
        assert pull(near, None, ACCESS).commits == 1
        grow(far, "o-6")
        grow(far, "o-7")
        with opened(far) as domain:
            collect(domain)  # our history ends within their one segment now, which is cut
        assert pull(near, None, ACCESS).commits == 2
        assert clone(near, f"static+{web.url}", "part", ACCESS, aggregate_type="order", aggregate_id="all").partial
    assert_sealed(Path(near.repository.path))
    near.repository.close()
    assert_sound(Path(near.repository.path).parent)
