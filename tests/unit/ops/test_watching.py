"""dbx/ops/watching.py: when the next cycle comes, and how a watcher is told to end."""

from __future__ import annotations

import os

import pytest

from dbx.ops.watching import Stop, Stopped, next_delay


def middle(size: int) -> bytes:
    return b"\x80".ljust(size, b"\0")


def test_failures_double_the_wait_up_to_a_bound() -> None:
    assert [next_delay(300, n, middle) for n in (0, 1, 2, 3, 9, 10, 99)] == [300, 5, 10, 20, 1280, 2400, 2400]
    assert [next_delay(1, n, middle) for n in (0, 1, 2, 3, 4, 5, 99)] == [1, 1, 2, 4, 8, 8, 8]
    assert next_delay(1800, 99, middle) == 3600
    assert next_delay(86_400, 99, middle) == 86_400


def test_the_wait_varies_by_a_tenth() -> None:
    waits = [next_delay(100, 0, os.urandom) for _ in range(500)]
    assert min(waits) >= 90
    assert max(waits) <= 110
    assert max(waits) - min(waits) > 15


def test_a_stop_breaks_a_wait_and_waits_for_a_cycle() -> None:
    stop = Stop()
    with pytest.raises(Stopped), stop.waiting():
        stop.ask()
    stop = Stop()
    stop.ask()  # within a cycle
    assert stop.asked
    with pytest.raises(Stopped), stop.waiting():
        raise AssertionError("it was asked before")
