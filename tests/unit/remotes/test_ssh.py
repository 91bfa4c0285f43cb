"""The ssh transport keeps the contract with a real sshd on loopback, and nothing in an address becomes an option."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx.errors import DbxError, Invalid, RemoteFailure
from dbx.model.address import parse_address
from dbx.ops.clone import clone
from dbx.ops.fetch import pull
from dbx.ops.link import Access
from dbx.ops.remote import set_url
from dbx.ops.session import Session
from dbx.remotes.ssh import SshTransport, command_line
from dbx.repo.replica import offer as offers
from tests.history import append, fill
from tests.unit.remotes.contract import ACCESS, Far, TransportContract, assert_sound, opened
from tests.unit.remotes.sshd import MISSING, SSHD, Sshd, sshd_running


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None:
        pytest.skip(MISSING)
    with sshd_running(tmp_path_factory.mktemp("sshd") / "s") as found:
        yield found


class TestSsh(TransportContract):
    @pytest.fixture
    def far(self, tmp_path: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Far:
        path = tmp_path / "far"
        path.mkdir()
        fill(path)
        monkeypatch.setenv("PATH", f"{sshd.bin}:{os.environ['PATH']}")
        return Far(path, f"ssh://{sshd.place}{path}")

    @pytest.mark.parametrize("ending", ["/.dbx", "/.dbx/domains/default", "#default"])
    def test_every_way_to_write_it(self, near: Session, far: Far, ending: str) -> None:
        assert clone(near, far.url + ending, "copy", ACCESS).commits == 3

    def test_a_path_is_one_word_for_the_shell_there(self, near: Session, far: Far) -> None:
        odd = far.path.parent / "a 'b\"; touch evil; $(touch evil) `touch evil`"
        far.path.rename(odd)
        url = far.url[: -len(str(far.path))] + str(odd).replace(" ", "%20")
        assert clone(near, url, "copy", ACCESS).commits == 3
        assert not list(far.path.parent.rglob("evil"))
        assert not (Path.home() / "evil").exists()

    def test_a_directory_that_is_not_there(self, near: Session, far: Far) -> None:
        with pytest.raises(RemoteFailure, match=r"ssh says: .*nowhere"):
            clone(near, far.url + "/../nowhere", "copy", ACCESS)

    def test_a_host_key_that_is_not_known(self, near: Session, far: Far, sshd: Sshd) -> None:
        known = sshd.bin.parent / "known"
        kept = known.read_text()
        try:
            known.write_text("")
            with pytest.raises(RemoteFailure, match="ssh says: Host key verification failed"):
                clone(near, far.url, "copy", ACCESS)
        finally:
            known.write_text(kept)

    def test_one_ssh_for_all_requests_and_none_is_left_behind(self, far: Far) -> None:
        with self.transport(far) as transport:
            assert isinstance(transport, SshTransport)
            head = transport.describe().head
            process = transport._process
            assert process is not None
            assert transport.commit_ids([head.seq]) == [head.commit]
            assert transport._process is process
            assert process.poll() is None
        assert process.returncode == 0


CUT = """\
#!{python}
import os, subprocess, sys
real = subprocess.Popen(["{ssh}", *sys.argv[1:]], stdout=subprocess.PIPE)
left = 35000
while left and (data := os.read(real.stdout.fileno(), left)):
    left -= os.write(1, data)
real.kill()
"""


def test_a_clone_over_ssh_that_is_cut_goes_on_where_it_was(
    near: Session, tmp_path: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line breaks in the middle of the last segment, as where a network goes away."""
    far = tmp_path / "source"
    with opened(far) as domain:
        for n in range(3):
            append(domain, *[f"o-{n}-{m}" for m in range(200)])
            with offers.offering(domain, offers.START):
                pass
    cut = tmp_path / "bin" / "ssh"
    cut.parent.mkdir()
    cut.write_text(CUT.format(python=sys.executable, ssh=sshd.bin / "ssh"))
    cut.chmod(0o755)
    path = os.environ["PATH"]
    monkeypatch.setenv("PATH", f"{cut.parent}:{path}")
    url = f"ssh://{sshd.place}{far}"
    with pytest.raises(RemoteFailure):
        clone(near, url, "copy", ACCESS)
    assert "copy" not in near.repository.domain_names()
    monkeypatch.setenv("PATH", f"{sshd.bin}:{path}")
    done = clone(near, url, "copy", ACCESS)
    assert done.commits == 6
    assert 0 < done.resumed < 6
    assert_sound(Path(near.repository.path).parent)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://-oProxyCommand=touch%20evil/x",
        "ssh://-oProxyCommand=evil@host/x",
        "ssh://user@-oProxyCommand=evil/x",
        "ssh://%2doProxyCommand=evil/x",
        "ssh://host:-1/x",
        "ssh://host:x/x",
        "ssh://host;evil/x",
        "ssh://$(evil)/x",
        "ssh://user:secret@host/x",
        "ssh:///x",
        "ssh://host",
        "ssh://host/",
        "ssh://host/a%00b",
        "ssh://host/a%0ab",
        "-oProxyCommand=evil",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        command_line(parse_address(url), 30)
    assert "secret" not in str(refused.value)


def test_the_arguments() -> None:
    def found(url: str) -> list[str]:
        return command_line(parse_address(url), 30)

    assert found("ssh://jane@host.example:2222/srv/a%20b#orders") == [
        "ssh", "-T", "-x", "-o", "ConnectTimeout=30", "-p", "2222", "--", "jane@host.example",
        "dbx -C '/srv/a b' serve --stdio",
    ]  # fmt: skip
    assert found("ssh://[::1]/srv/x")[-2:] == ["::1", "dbx -C /srv/x serve --stdio"]
    assert found("ssh://host/~/x")[-1] == "dbx -C ./x serve --stdio"
    assert found("ssh://host/~/-x")[-1] == "dbx -C ./-x serve --stdio"
    assert found("ssh://host/-x")[-1] == "dbx -C /-x serve --stdio"
    assert found("ssh://host/x/.dbx/domains/orders/")[-1] == "dbx -C /x serve --stdio"


FALSE = {
    "says nothing and ends": ("exit 1", "connection"),
    "complains": ("echo 'Permission denied (publickey).' >&2; exit 255", "Permission denied"),
    "talks": ("echo 'Welcome to the machine'; exec sleep 30", "welcome"),
    "stays silent": ("exec sleep 30", "timed out"),
    "drips": ("while :; do printf 'x'; sleep 0.1; done", "."),
    "never ends": ("exec yes HTTP", "."),
    "rings the bell": ("printf 'a\\033[2Jb\\a\\n' >&2; exit 255", r"ssh says: a\[2Jb$"),
}


@pytest.mark.parametrize("name", FALSE)
def test_an_ssh_that_does_not_play_along(
    near: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    script, words = FALSE[name]
    fake = tmp_path / "bin" / "ssh"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    before = offers.describe(near.domain)
    began = time.monotonic()
    with pytest.raises(RemoteFailure, match=words):
        pull(near, None, Access(timeout_s=0.5))
    assert time.monotonic() - began < 20
    assert offers.describe(near.domain) == before
    assert_sound(Path(near.repository.path).parent)


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Session]:
    """A clone by path that then looks elsewhere."""
    from dbx.ops.session import Who
    from tests.history import open_repository

    fill_path = tmp_path / "source"
    fill_path.mkdir()
    fill(fill_path)
    path = tmp_path / "near"
    path.mkdir()
    repository = open_repository(path)
    session = Session(repository, None, Who("ops", "jane", "jane"))
    clone(session, str(fill_path), "default", ACCESS)
    append(session.domain, "o-7")
    set_url(session, "origin", "ssh://host.invalid/srv/x", domain=None, token=None, start=".")
    try:
        yield session
    finally:
        repository.close()


def test_without_ssh(near: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DbxError, match="there is no 'ssh'") as refused:
        pull(near, None, ACCESS)
    assert refused.value.status == 8
