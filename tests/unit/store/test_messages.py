"""What is sent through a pipe comes out as it was; what is cut off, or is no message, is told."""

from __future__ import annotations

import os
import threading

import pytest

from dbx.store.messages import SAYS, message, read_exactly, receive, send


def test_parts_come_as_they_were_sent() -> None:
    reading, writing = os.pipe()
    parts = [b"", b"x", bytes(300_000)]  # a pipe holds 64 KiB
    thread = threading.Thread(target=send, args=(writing, *parts))
    thread.start()
    assert read_exactly(reading, 1) == SAYS
    assert receive(reading, 3) == parts
    thread.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("cut", [1, 8, 20, 41])
def test_a_message_that_is_cut_off(cut: int) -> None:
    reading, writing = os.pipe()
    whole = message(b"abc", b"defghijklmnopq")
    assert len(whole) == 42
    os.write(writing, whole[:cut])
    os.close(writing)
    assert read_exactly(reading, 1) == SAYS
    with pytest.raises(EOFError):
        receive(reading, 2)
    os.close(reading)


def test_another_number_of_parts() -> None:
    reading, writing = os.pipe()
    send(writing, b"a", b"b")
    read_exactly(reading, 1)
    with pytest.raises(EOFError):
        receive(reading, 3)
    os.close(reading)
    os.close(writing)
