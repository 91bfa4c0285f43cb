"""An error of a descriptor names its file."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
from pathlib import Path

import pytest

from dbx.store.descriptor import is_readable, name_file, write_all


def test_a_write_that_fails_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor") as refused:
            write_all(fd, b"x")
        assert refused.value.filename == str(path)
    finally:
        os.close(fd)


def test_a_pipe_has_no_name() -> None:
    source, target = os.pipe()
    os.close(source)
    try:
        with pytest.raises(BrokenPipeError) as refused:
            write_all(target, b"x")
        assert refused.value.filename is None
    finally:
        os.close(target)


def test_a_name_that_is_there_stays() -> None:
    error = OSError(errno.ENOSPC, "x", "here")
    name_file(error, 0)
    assert error.filename == "here"
    gone = OSError(errno.EBADF, "x")
    name_file(gone, 987_654)
    assert gone.filename is None


def test_any_descriptor_can_be_asked_whether_there_is_something_to_read() -> None:
    reading, writing = os.pipe()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, min(soft - 1, 1100))
    assert not is_readable(high, 0)
    os.write(writing, b"x")
    assert is_readable(high, 0)
    os.read(high, 1)
    assert not is_readable(high, 0.01)
    os.close(writing)
    assert is_readable(high, 0)  # the end
    os.close(high)
    os.close(reading)
