"""What is put is written in order, while whoever put it goes on; a reader that is gone is told."""

from __future__ import annotations

import os

import pytest

from dbx.store.outbox import Outbox


def test_nobody_waits_for_the_reader() -> None:
    reading, writing = os.pipe()
    box = Outbox(writing)
    parts = [bytes([n]) * 300_000 for n in range(5)]  # a pipe holds 64 KiB
    for part in parts:
        box.put(part)
    data = b""
    while len(data) < 1_500_000:
        data += os.read(reading, 1 << 20)
    box.close()
    assert data == b"".join(parts)
    os.close(reading)
    os.close(writing)


def test_a_reader_that_is_gone_is_told() -> None:
    reading, writing = os.pipe()
    box = Outbox(writing)
    os.close(reading)
    box.put(b"x")
    with pytest.raises(BrokenPipeError):
        box.close()
    with pytest.raises(BrokenPipeError):
        box.put(b"y")
    os.close(writing)
