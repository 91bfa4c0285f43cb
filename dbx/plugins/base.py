"""What every kind of plugin does: take a delivery and say how that went. A Sink is used by one thread."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.delivery import Delivery, Outcome
    from dbx.model.plugin import Plugin


class Stopped(Exception):  # noqa: N818 - not an error: the runner was told to end while it waited
    """The attempt was given up, and counts for nothing."""


class Sink(Protocol):
    """Where the deliveries of one plugin go."""

    def check(self) -> None:
        """See whether it can be reached, without sending an event. Raises RemoteFailure, Invalid."""

    def deliver(self, delivery: Delivery) -> Outcome:
        """Send one delivery, and wait for how that went; never raises for what the other side does."""
        ...

    def close(self) -> None:
        """Let go of connections, files and processes; whatever was in flight may or may not have arrived."""


def lookup(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, from the system's resolver. Raises OSError."""
    import socket

    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What sinks get from outside: `say` takes lines for standard error, `now` gives the time as events have it.

    `directory` is where programs are started; `lookup` asks for addresses; `monotonic` measures deadlines.
    """

    say: Callable[[str], None]
    now: Callable[[], str]
    directory: str
    domain: str = ""
    domain_id: str = ""
    lookup: Callable[[str, int], Sequence[str]] = lookup
    monotonic: Callable[[], float] = time.monotonic
    stopping: Callable[[], bool] = lambda: False


def open_sink(plugin: Plugin, around: Surroundings) -> Sink:
    """The sink of a plugin; nothing is connected or started before the first delivery."""
    from dbx.model.plugin import HttpConfig, LogConfig, TcpConfig

    config = plugin.config
    if isinstance(config, HttpConfig):
        from dbx.plugins.http import HttpSink

        return HttpSink(config, around)
    if isinstance(config, TcpConfig):
        from dbx.plugins.tcp import TcpSink

        return TcpSink(config, around)
    if isinstance(config, LogConfig):
        from dbx.plugins.log import LogSink

        return LogSink(plugin.name, config, around)
    from dbx.plugins.process import ProcessSink

    return ProcessSink(plugin.name, config, around)


def written(plugin: Plugin, delivery: Delivery) -> bytes:
    """A delivery as one line of JSON: what the plugin is sent, without what a kind of its own puts around it."""
    if plugin.kind == "process":
        from dbx.plugins.process import line_of

        return line_of(delivery)
    return delivery.body + b"\n"
