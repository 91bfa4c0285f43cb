"""A listener that is sent each delivery as one JSON line, over a connection of its own.

Nothing is answered, so delivered means that the other side took the connection and did not reset it.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from dbx.errors import RemoteFailure
from dbx.model.delivery import DONE, Outcome, failed
from dbx.plugins.connect import Deadline, Refused, connect, reason

if TYPE_CHECKING:
    from dbx.model.delivery import Delivery
    from dbx.model.plugin import TcpConfig
    from dbx.plugins.base import Surroundings

_LINGER_S = 0.02
"""So long a reset is waited for, from a listener that neither answers nor hangs up."""


class TcpSink:
    """One listener."""

    def __init__(self, config: TcpConfig, around: Surroundings) -> None:
        self._config = config
        self._around = around

    def check(self) -> None:
        """Connect. Raises RemoteFailure."""
        try:
            self._connect(Deadline(self._config.timeout_s, self._around.monotonic)).close()
        except (OSError, Refused) as error:
            raise RemoteFailure(f"cannot reach '{self._config.host}': {_why(error)}") from None

    def deliver(self, delivery: Delivery) -> Outcome:
        """Send a line, and hang up."""
        deadline = Deadline(self._config.timeout_s, self._around.monotonic)
        try:
            made = self._connect(deadline)
        except Refused as error:
            return failed(f"tcp plugin refused: {error}", reached=False)
        except OSError as error:
            return failed(f"tcp plugin cannot connect: {reason(error)}", reached=False)
        try:
            made.settimeout(deadline.left_s())
            made.sendall(delivery.body + b"\n")
            made.shutdown(socket.SHUT_WR)
            made.settimeout(min(_LINGER_S, deadline.left_s()))
            with suppress(TimeoutError):  # it keeps the connection open, which is its right
                made.recv(1)
        except OSError as error:
            return failed(f"tcp plugin failed: {reason(error)}")
        finally:
            made.close()
        return DONE

    def close(self) -> None:
        """Nothing is kept."""

    def _connect(self, deadline: Deadline) -> socket.socket:
        config = self._config
        return connect(
            config.host, config.port, allow_private=config.allow_private, around=self._around, deadline=deadline
        )


def _why(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)
