"""What holds for every test."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let commands be interrupted. Whoever runs the tests in the background of a shell that has no job control ignores
    interrupts, and so would every process that is started from here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
