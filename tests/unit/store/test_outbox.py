"""What is put is written in order, while whoever put it goes on; a reader that is gone is told."""

from __future__ import annotations

import os
import threading
import time

import pytest

from dbx.store.messages import read_exactly
from dbx.store.outbox import Outbox


def test_nobody_waits_for_the_reader() -> None:
    reading, writing = os.pipe()
    box = Outbox(writing)
    parts = [bytes([n]) * 300_000 for n in range(5)]  # a pipe holds 64 KiB
    for part in parts:
        box.put(part)
    data = read_exactly(reading, 1_500_000)
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


def test_who_is_too_far_ahead_waits() -> None:
    reading, writing = os.pipe()
    box = Outbox(writing, most=1 << 20)
    parts = [bytes([n]) * 400_000 for n in range(8)]
    put = 0

    def put_all() -> None:
        nonlocal put
        for part in parts:
            box.put(part)
            put += 1

    thread = threading.Thread(target=put_all)
    thread.start()
    deadline = time.monotonic() + 20
    while put < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    thread.join(0.1)
    assert thread.is_alive()
    assert put == 3  # the one that goes beyond still found room
    data = read_exactly(reading, 3_200_000)
    thread.join()
    box.close()
    assert data == b"".join(parts)
    os.close(reading)
    os.close(writing)


def test_nobody_waits_for_a_reader_that_is_gone() -> None:
    reading, writing = os.pipe()
    box = Outbox(writing, most=10)
    box.put(bytes(1 << 20))
    threading.Timer(0.2, os.close, (reading,)).start()
    with pytest.raises(BrokenPipeError):
        box.put(b"x")  # waits until then
    with pytest.raises(BrokenPipeError):
        box.close()
    os.close(writing)
