"""Files inside a repository: no links, no special files, no names that lead out, and nothing half."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dbx.errors import Corrupt, Invalid
from dbx.store.descriptor import write_all
from dbx.store.fs import Directory, read_at


@pytest.fixture
def root(tmp_path: Path) -> Directory:
    return Directory(str(tmp_path))


def test_write_replaces_and_leaves_nothing_else(root: Directory, tmp_path: Path) -> None:
    root.write("a", b"one")
    first = (tmp_path / "a").stat().st_ino
    root.write("a", b"two")
    assert (tmp_path / "a").read_bytes() == root.read("a", 3) == b"two"
    assert (tmp_path / "a").stat().st_ino != first
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_write_makes_the_directories_it_needs(root: Directory, tmp_path: Path) -> None:
    root.below("x/y").write("z/a", b"1")
    assert (tmp_path / "x/y/z/a").read_bytes() == b"1"
    assert (tmp_path / "x/y").stat().st_mode & 0o777 == 0o700


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(OSError):
            root.write("a", b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_temporary_file_is_seen_only_when_it_is_published(root: Directory, tmp_path: Path) -> None:
    with root.temporary("d") as temporary:
        temporary.write(b"12")
        temporary.write(memoryview(b"34"))
        assert os.listdir(tmp_path / "d") == [os.path.basename(temporary.path)]
        temporary.publish("a")
        temporary.discard()
    assert (tmp_path / "d/a").read_bytes() == b"1234"
    with root.temporary("d"):
        pass
    with pytest.raises(KeyError), root.temporary("d"):
        raise KeyError
    assert os.listdir(tmp_path / "d") == ["a"]


def test_reading(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert root.read("a", 5) == root.find("a", 5) == b"12345"
    assert root.stat("a").st_size == 5
    with pytest.raises(Corrupt, match="has 5 bytes, more than the 4 it may have"):
        root.read("a", 4)
    assert root.find("b", 1) is None
    assert root.find("d/b", 1) is None
    with pytest.raises(FileNotFoundError):
        root.read("b", 1)
    fd = root.open_read("a")
    assert (read_at(fd, 9, 3), read_at(fd, 9, 9), read_at(fd, 2, 0)) == (b"45", b"", b"12")
    os.close(fd)


def test_looking(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/f").touch()
    (tmp_path / "d/a").touch()
    (tmp_path / "d/l").symlink_to("/nowhere")
    assert root.names() == ["d"]
    assert root.names("d") == ["a", "e", "l"]
    assert root.names("none") == []
    assert list(root.walk()) == ["d/a", "d/e/f", "d/l"]
    assert list(root.below("d").walk("e")) == ["e/f"]
    assert root.exists()
    assert root.exists("d/l")  # a dangling link is something
    assert not root.exists("d/x")
    assert not root.exists("x/y")
    assert not root.below("x").exists()


@pytest.mark.parametrize("name", ["link", "dir", "fifo", "socket", "through/a"])
def test_links_and_special_files_are_refused(
    root: Directory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "real/a")
    (tmp_path / "through").symlink_to(tmp_path / "real")
    (tmp_path / "dir").mkdir()
    os.mkfifo(tmp_path / "fifo")
    listening = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(tmp_path)  # the path of a socket may not be long
    listening.bind("socket")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Corrupt):
        root.read(name, 100)
    with pytest.raises((Corrupt, IsADirectoryError)):
        os.close(root.open_write(name, create=True))
    assert len(os.listdir("/proc/self/fd")) == before
    listening.close()
    assert (tmp_path / "real/a").read_bytes() == b"secret"


def test_no_directory_is_reached_through_a_link(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    inside = root.below("link")
    for act in (
        lambda: inside.write("a", b""),
        inside.names,
        inside.make,
        lambda: inside.remove("a"),
        inside.sync,
        lambda: inside.exists("a"),
        lambda: root.rename("link/a", "a"),
        lambda: list(root.walk("link")),
    ):
        with pytest.raises(Corrupt, match="symbolic link"):
            act()
    assert os.listdir(tmp_path / "real") == []


@pytest.mark.parametrize("name", ["..", ".", "../a", "a/../b", "a//b", "/etc/passwd", "", "a\0b"])
def test_names_that_lead_elsewhere(root: Directory, tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises((Invalid, ValueError)):
        root.read(name, 1)
    with pytest.raises((Invalid, ValueError)):
        os.close(root.open_write(name, create=True))
    assert sorted(os.listdir(tmp_path)) == ["a"]
    assert os.listdir(tmp_path / "a") == []


def test_rename_and_remove(root: Directory, tmp_path: Path) -> None:
    root.write("d/a", b"1")
    root.write("b", b"2")
    root.rename("d/a", "b")
    assert (tmp_path / "b").read_bytes() == b"1"
    root.remove("b")
    root.remove("b")
    root.remove("none/b", durable=False)
    assert os.listdir(tmp_path) == ["d"]


def test_trees_are_removed_and_links_in_them_are_not_followed(root: Directory, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/a").touch()
    (tmp_path / "d/e/f").mkdir(parents=True)
    (tmp_path / "d/e/a").touch()
    (tmp_path / "d/e/l").symlink_to(tmp_path / "kept")
    root.remove_tree("d")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["kept", "kept/a"]


def test_links_between_directories(root: Directory, tmp_path: Path) -> None:
    root.write("one/s/a", b"1")
    root.make("two/s")
    assert root.below("two").link_from(root.below("one"), "s/a")
    assert root.below("two").link_from(root.below("one"), "s/a")
    assert (tmp_path / "two/s/a").stat().st_ino == (tmp_path / "one/s/a").stat().st_ino


def test_write_all_at_an_offset(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    write_all(fd, b"abcdef")
    write_all(fd, b"XY", 2)
    write_all(fd, b"", 9)
    os.close(fd)
    assert (tmp_path / "a").read_bytes() == b"abXYef"
