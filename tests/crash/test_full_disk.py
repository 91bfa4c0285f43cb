"""A disk that is really full: the command fails plainly, what is there can be read, and with room all goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import strace, world
from tests.crash.test_errors import assert_plain
from tests.crash.test_kill import assert_sound

MEGABYTES = 4


@pytest.fixture
def small_disk(where: Path) -> Iterator[Path]:
    """`where`, its `work` a file system of a few megabytes."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("only root can mount a small file system: a full disk was not tried")
    target = str(where / "work")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", target], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mount does not work here, a full disk was not tried: {done.stderr.decode().strip()}")
    try:
        yield where
    finally:
        subprocess.run([umount, "-l", target], check=True)


def fill(where: Path, leave: int) -> Path:
    """Take all room but `leave` bytes."""
    ballast = where / "work" / "ballast"
    free = os.statvfs(where / "work")
    with open(ballast, "wb") as file:
        file.write(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return ballast


@pytest.mark.parametrize("leave", [0, 4096, 16384, 65536, 200_000])
@pytest.mark.parametrize(
    "argv",
    [
        ("aggregate", "apply", "order", "o-1", "order_paid", "--field", "sum=12"),
        ("aggregate", "apply", "order", "o-1", "order_paid", "--field", "sum=12", "--stage"),
        ("aggregate", "apply", "--stage", "--from", "../batch.jsonl"),
        ("commit", "-m", "all"),
        ("gc",),
        ("reindex",),
        ("checkout", "-c", "new"),
        ("config", "page_limit", "77"),
    ],
    ids=lambda argv: "-".join(word for word in argv if word.isalpha())[:40],
)
def test_full_disk(small_disk: Path, argv: tuple[str, ...], leave: int) -> None:
    where = small_disk
    world.make(where)
    world.append(where, [world.item(n) for n in range(9)])
    world.stage_items(where, [world.item(n, size=20_000) for n in range(20, 32)])
    (where / "batch.jsonl").write_text(world.lines([world.item(n, size=5000) for n in range(100, 140)]))
    before = world.observe(where)
    ballast = fill(where, leave)
    outcome = strace.run(argv, where)
    assert_plain(outcome)
    # Full as it is, what is there can be read.
    for look in (("status",), ("aggregate", "get", "order", "o-1"), ("events",), ("staged",)):
        assert strace.run([*look, "--domain", "default"], where).status == 0, look
    world.assert_grew(before, world.observe(where))
    if outcome.status:
        assert world.observe(where).work == before.work
    ballast.unlink()
    again = strace.run(argv, where)
    assert again.status == 0, again
    assert_sound(where)


def test_dropping_what_is_staged_makes_room(small_disk: Path) -> None:
    """The way out of a full disk works on a full disk."""
    where = small_disk
    world.make(where)
    world.append(where, [world.item(1)])
    world.stage_items(where, [world.item(n, size=20_000) for n in range(20, 32)])
    fill(where, 0)
    outcome = strace.run(["reset", "--yes"], where)
    assert outcome.status == 0, outcome
    assert not (where / "work/.dbx/domains/default/staging.jsonl").exists()
    outcome = strace.run(["aggregate", "apply", "order", "o-1", "order_paid"], where)
    assert outcome.status == 0, outcome
    assert_sound(where)
