"""Links, FIFOs, directories and devices where files should be, and names that lead elsewhere: refused."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash import strace, world
from tests.crash.test_errors import assert_plain

CANARY = b"outside\n"
LOOKS = (("status",), ("aggregate", "get", "order", "o-1"), ("events",), ("staged",), ("fsck",))
WRITES = (
    ("aggregate", "apply", "order", "o-1", "paid"),
    ("aggregate", "apply", "order", "o-1", "paid", "--stage"),
    ("commit",),
    ("gc",),
    ("reindex",),
    ("checkout", "-c", "new", "--from", "default"),
)
DERIVED = ("index.db", "index.db-wal", "index.db-shm")


def to_file(path: Path, outside: Path) -> None:
    """A link to a copy of the file, outside."""
    if path.is_dir():
        shutil.copytree(path, outside / "copy", symlinks=True)
        shutil.rmtree(path)
    else:
        shutil.copy(path, outside / "copy")
        path.unlink()
    path.symlink_to(outside / "copy")


def to_nothing(path: Path, outside: Path) -> None:
    """A link to a place where nothing is yet, outside."""
    _remove(path)
    path.symlink_to(outside / "made")


def to_fifo(path: Path, outside: Path) -> None:
    _remove(path)
    os.mkfifo(path)


def to_directory(path: Path, outside: Path) -> None:
    """A directory for a file, a file for a directory."""
    was_directory = path.is_dir()
    _remove(path)
    if was_directory:
        path.write_bytes(CANARY)
    else:
        path.mkdir()


def to_device(path: Path, outside: Path) -> None:
    _remove(path)
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root can make devices")


def to_socket(path: Path, outside: Path) -> None:
    import socket

    _remove(path)
    held = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        held.bind(path.name)
    finally:
        os.chdir(here)
        held.close()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


PLANT: tuple[Callable[[Path, Path], None], ...] = (to_file, to_nothing, to_fifo, to_directory, to_device, to_socket)


def everything(where: Path) -> None:
    """A repository that has every kind of file: segments, a journal, something staged, an index."""
    world.make(where)
    world.append(where, [world.item(n) for n in range(5)])
    world.tidy(where)
    world.append(where, [world.item(n) for n in range(5, 9)])
    world.stage_items(where, [world.item(n) for n in range(20, 23)])


def parts(dbx: Path) -> list[str]:
    """Every file and directory, but the root itself."""
    return sorted(str(path.relative_to(dbx)) for path in dbx.rglob("*"))


@pytest.mark.parametrize("plant", PLANT, ids=lambda plant: plant.__name__)
def test_planted_in_the_place_of_any_file(where: Path, plant: Callable[[Path, Path], None]) -> None:
    everything(where)
    dbx, whole, outside = where / "work" / ".dbx", where / "whole", where / "outside"
    dbx.rename(whole)
    for number, name in enumerate(parts(whole)):
        shutil.copytree(whole, dbx, symlinks=True)
        outside.mkdir()
        (outside / "canary").write_bytes(CANARY)
        plant(dbx / name, outside)
        before = _contents(outside)
        try:
            looks = (LOOKS[-1], LOOKS[number % (len(LOOKS) - 1)])
            for argv in (*looks, WRITES[number % len(WRITES)], WRITES[(number + 3) % len(WRITES)]):
                outcome = strace.run(argv, where, timeout_s=30)
                assert_plain_or_refused(outcome)
                if argv == ("fsck",) and not name.rpartition("/")[2].startswith(DERIVED):
                    check_fsck(name, dbx, outcome)
                assert _contents(outside) == before, f"'{argv}' wrote outside the repository"
        except BaseException as error:
            error.add_note(f"{plant.__name__}: {name}")
            raise
        finally:
            shutil.rmtree(dbx)
            shutil.rmtree(outside)


UNNEEDED = ("lock", "staging.lock", ".gitignore", "schemas", "refs/tags", "logs")
"""What dbx can do without, and may mend in passing."""


def check_fsck(name: str, dbx: Path, outcome: strace.Outcome) -> None:
    """fsck names what it will not follow."""
    inner = name.removeprefix("domains/default/")
    if not inner.startswith(UNNEEDED):
        assert outcome.status in (5, 7) if name == "config.yaml" else outcome.status == 7, outcome
        assert name.rpartition("/")[2] in outcome.stderr + outcome.stdout


def assert_plain_or_refused(outcome: strace.Outcome) -> None:
    assert outcome.status in (0, 1, 3, 4, 5, 7), outcome
    for trace in ("Traceback", "Warning", "Exception ignored", "internal error"):
        assert trace not in outcome.stderr, outcome.stderr


def _contents(outside: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(outside.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "name", ["..", ".", "../x", "a/b", "/etc", "", "-x", "a\\b", "CON", "nul", "ünï", "x" * 65, "a b", ".git", ".new-a"]
)
def test_names_of_domains_that_lead_elsewhere(where: Path, name: str) -> None:
    everything(where)
    before = parts(where)
    for argv in (
        ("checkout", "-c", "--", name),
        ("checkout", "-c", "--from", "default", "--", name),
        ("domain", "rename", "--", "default", name),
        ("status", f"--domain={name}"),
    ):
        outcome = strace.run(argv, where)
        assert outcome.status in (2, 5), (argv, outcome)
        assert_refused_plainly(outcome)
    if name:
        assert strace.run(["status"], where, env={"DBX_DOMAIN": name}).status in (2, 5)
    assert parts(where) == before


@pytest.mark.parametrize("name", ["..", "../x", "/etc/passwd", "-x", "a\nb", "ünï", "x" * 129, "a b", ""])
def test_names_of_aggregates_that_lead_elsewhere(where: Path, name: str) -> None:
    everything(where)
    before = parts(where)
    for argv in (
        ("aggregate", "apply", "--create", "--", "order", name, "paid"),
        ("aggregate", "apply", "--create", "--stage", "--", "order", name, "paid"),
        ("aggregate", "apply", "--create", "--", name, "o-1", "paid"),
    ):
        outcome = strace.run(argv, where)
        assert outcome.status in (2, 5), (argv, outcome)
        assert_refused_plainly(outcome)
    assert parts(where) == before


def assert_refused_plainly(outcome: strace.Outcome) -> None:
    assert outcome.stderr.startswith("dbx: error: ")
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    "target", ["domains/../../../outside", "domains/.", "domains/", "../outside", "domains/DEFAULT"]
)
def test_head_that_leads_elsewhere(where: Path, target: str) -> None:
    everything(where)
    shutil.copytree(where / "work/.dbx/domains/default", where / "outside")
    before = _contents(where / "outside")
    (where / "work/.dbx/HEAD").write_text(f"ref: {target}\n")
    for argv in (("status",), WRITES[0], WRITES[1]):
        outcome = strace.run(argv, where)
        assert outcome.status in (3, 5, 7), outcome
        assert_plain(strace.Outcome(1, outcome.stdout, outcome.stderr))
    assert _contents(where / "outside") == before
