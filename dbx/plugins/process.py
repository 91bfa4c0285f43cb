"""A program that gets deliveries as JSON lines on its standard input and acknowledges each on its standard output.

The protocol is in dbx-plugin(7). The program runs in a session of its own, so that it and whatever it started can be
ended together; it gets no environment but what is listed here; what it writes is bounded.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dbx.errors import RemoteFailure
from dbx.formats import canonical
from dbx.model.delivery import DONE, Outcome, failed
from dbx.plugins.base import Stopped
from dbx.plugins.connect import Deadline

if TYPE_CHECKING:
    from dbx.model.delivery import Delivery
    from dbx.model.plugin import ProcessConfig
    from dbx.plugins.base import Surroundings

PATH = "/usr/local/bin:/usr/bin:/bin"
MAX_LINE_BYTES = 64 * 1024
MAX_STRAY_LINES = 256
STDERR_BYTES = 8 * 1024
GRACE_S = 5.0
_LOOK_S = 0.2
_ENDING_S = 1.0
_MAX_RETRY_AFTER_S = 86_400.0


class _Fault(Exception):  # noqa: N818 - it is told as an attempt that failed
    """The program does not keep to the protocol."""


class ProcessSink:
    """One program, started with the first delivery and again when it has ended while there is work."""

    def __init__(self, name: str, config: ProcessConfig, around: Surroundings, *, grace_s: float = GRACE_S) -> None:
        self._name = name
        self._config = config
        self._around = around
        self._grace_s = grace_s
        self._running: _Running | None = None

    def check(self) -> None:
        """See whether the program can be executed. Raises RemoteFailure."""
        command = self._config.command
        if not os.path.isfile(command) or not os.access(command, os.X_OK):
            raise RemoteFailure(f"'{command}' is no program that can be executed")
        if self._config.working_dir is not None and not os.path.isdir(self._config.working_dir):
            raise RemoteFailure(f"'{self._config.working_dir}' is no directory")

    def deliver(self, delivery: Delivery) -> Outcome:
        """Send a delivery, and wait for its acknowledgement. Raises Stopped when the runner is to end meanwhile."""
        if self._running is not None and self._running.has_ended():
            self.close()
        if self._running is None:
            try:
                self._running = self._start()
            except OSError as error:
                why = (error.strerror or "it failed").lower()
                return failed(f"process plugin cannot be started: {why}", reached=False)
        running = self._running
        deadline = Deadline(self._config.timeout_s, self._around.monotonic)
        try:
            return running.ask(line_of(delivery), delivery.id, deadline, self._around)
        except TimeoutError:
            text = f"process plugin gave no acknowledgement within {self._config.timeout_s:g} s"
        except (OSError, EOFError):
            # A program that ends closes its pipes a moment earlier.
            by_itself = running.ends_within(_ENDING_S)
            status = running.end(self._grace_s)
            how = f"ended ({_status_text(status)})" if by_itself else "closed its pipes, and was ended"
            text = f"process plugin {how}{running.last_words()}"
        except _Fault as error:
            text = f"process plugin {error}"
        running.end(self._grace_s)
        self._running = None
        return failed(text, reached=False)

    def close(self) -> None:
        """Close its input, wait, and end it with everything that it started."""
        if self._running is not None:
            running, self._running = self._running, None
            running.finish(self._grace_s)

    def _start(self) -> _Running:
        config, around = self._config, self._around
        env = {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "DBX_PLUGIN": self._name,
            "DBX_DOMAIN": around.domain,
            "DBX_DOMAIN_ID": around.domain_id,
            **dict(config.env),
        }
        process = subprocess.Popen(  # noqa: S603 - no shell; what to run is the user's own configuration
            [config.command, *config.args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=config.working_dir or around.directory,
            env=env,
            start_new_session=True,
            bufsize=0,
        )
        return _Running(process)


class _Running:
    """The program while it runs. Its standard error is drained by a thread, which keeps the end of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._words = bytearray()
        self._buffer = b""
        self._status: int | None = None
        assert process.stdin is not None  # noqa: S101 - pipes were asked for
        assert process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = process.stdin, process.stdout
        for pipe in (self._stdin, self._stdout):
            os.set_blocking(pipe.fileno(), False)
        self._draining = threading.Thread(target=self._drain, daemon=True)
        self._draining.start()

    def has_ended(self) -> bool:
        """Whether the program itself is gone; what it started may not be."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._status is not None or os.waitid(os.P_PID, self._process.pid, options) is not None

    def ask(self, line: bytes, delivery_id: str, deadline: Deadline, around: Surroundings) -> Outcome:
        """Write a line, and read until it is acknowledged. Raises TimeoutError, OSError, EOFError, _Fault, Stopped."""
        left, stray = memoryview(line), 0
        poller = select.poll()
        poller.register(self._stdout, select.POLLIN)
        poller.register(self._stdin, select.POLLOUT)
        while True:
            for text in self._lines():
                outcome = _acknowledged(text, delivery_id)
                if outcome is not None:
                    return outcome
                stray += 1
                if stray > MAX_STRAY_LINES:
                    raise _Fault("writes what acknowledges nothing")
            if around.stopping():
                raise Stopped
            for fd, _ in poller.poll(min(deadline.left_s(), _LOOK_S) * 1000):
                if fd == self._stdin.fileno() and left:
                    with suppress(BlockingIOError):
                        left = left[os.write(fd, left[:65536]) :]
                    if not left:
                        poller.unregister(fd)
                elif fd == self._stdout.fileno():
                    self._read(fd)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        self._buffer += data

    def _lines(self) -> list[bytes]:
        *lines, self._buffer = self._buffer.split(b"\n")
        if len(self._buffer) > MAX_LINE_BYTES or any(len(line) > MAX_LINE_BYTES for line in lines):
            raise _Fault(f"writes a line of more than {MAX_LINE_BYTES} bytes")
        return lines

    def finish(self, grace_s: float) -> None:
        """Close its input, so that it can come to its end, and end it if it does not."""
        with suppress(OSError):
            self._stdin.close()
        self._wait(grace_s)
        self.end(grace_s)

    def end(self, grace_s: float) -> int:
        """End the whole session: SIGTERM, and SIGKILL for what does not heed that. The program's status."""
        if self._status is not None:
            return self._status
        pid = self._process.pid
        if not self.has_ended():
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGTERM)
            self._wait(grace_s)
        # Not reaped yet, so the number is still its group's; others of the group may have outlived the program.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        self._status = self._process.wait()
        self._draining.join(1.0)
        for pipe in (self._stdin, self._stdout, self._process.stderr):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return self._status

    def ends_within(self, wait_s: float) -> bool:
        """Whether the program comes to its end by itself."""
        self._wait(wait_s)
        return self.has_ended()

    def last_words(self) -> str:
        """The last line that it wrote on standard error, for a message."""
        text = bytes(self._words).decode("utf-8", "replace").strip()
        return f": {text.splitlines()[-1]}" if text else ""

    def _wait(self, wait_s: float) -> None:
        ended = threading.Event()

        def wait() -> None:
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        ended.wait(wait_s)

    def _drain(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - a pipe was asked for
        with suppress(OSError, ValueError):
            while data := self._process.stderr.read(65536):
                self._words += data
                del self._words[:-STDERR_BYTES]


def line_of(delivery: Delivery) -> bytes:
    """What the program reads of a delivery, with the end of the line."""
    where = delivery.where
    value: dict[str, Any] = {
        "delivery_id": delivery.id,
        "plugin": where.plugin,
        "position": delivery.position,
        "domain": {"id": where.domain_id, "name": where.domain},
        "attempt": delivery.attempt,
        "replay": delivery.replay,
        "payload_mode": delivery.mode,
        **delivery.parts,
    }
    return canonical.encode(value) + b"\n"


def _acknowledged(line: bytes, delivery_id: str) -> Outcome | None:
    """What a line says about a delivery, None where it says nothing about any. Raises _Fault for a wrong one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "delivery_id" not in value:
        return None
    if value["delivery_id"] != delivery_id:
        raise _Fault("acknowledges what it was not sent")
    if value.get("ok") is True:
        return DONE
    if value.get("ok") is not False:
        raise _Fault("acknowledges without saying whether it is ok")
    error, retry, after = value.get("error"), value.get("retry", True), value.get("retry_after")
    known = isinstance(after, int | float) and not isinstance(after, bool) and 0 <= after <= _MAX_RETRY_AFTER_S
    return failed(
        error if isinstance(error, str) and error else "the plugin says that it failed",
        retry=retry is not False,
        retry_after_s=float(after) if known and after is not None else None,
    )


def _status_text(status: int) -> str:
    if status < 0:
        with suppress(ValueError):
            return f"by {signal.Signals(-status).name}"
    return f"with status {status}"
