"""Lines of text, in a file or on standard error: one for each part of a delivery.

    2026-11-23T07:42:00.123456Z INFO audit: aggregate=order id=o-17 event=order_placed payload={"total":3}

A template makes the line of the event; each delivery stays on one line, whatever is in it.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

from dbx.errors import RemoteFailure
from dbx.formats import canonical
from dbx.model.delivery import DONE, Outcome, failed
from dbx.model.pluginparse import find_placeholders

if TYPE_CHECKING:
    from dbx.model.delivery import Delivery
    from dbx.model.plugin import LogConfig
    from dbx.plugins.base import Surroundings


class LogSink:
    """A file that is appended to, or standard error. The file is opened for each delivery: it may be rotated away."""

    def __init__(self, name: str, config: LogConfig, around: Surroundings) -> None:
        self._name = name
        self._config = config
        self._around = around

    def check(self) -> None:
        """Open the file. Raises RemoteFailure."""
        if self._config.file is None:
            return
        try:
            os.close(_open(self._config.file))
        except OSError as error:
            raise RemoteFailure(f"cannot write to '{self._config.file}': {_reason(error)}") from None

    def deliver(self, delivery: Delivery) -> Outcome:
        """Write the lines of a delivery, in one go."""
        head = f"{self._around.now()} {self._config.level.upper()} {self._name}: "
        lines = [head + _one_line(text) for text in self._texts(delivery)]
        if self._config.file is None:
            for line in lines:
                self._around.say(line)
            return DONE
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            fd = _open(self._config.file)
            try:
                done = os.write(fd, data)
            finally:
                os.close(fd)
        except OSError as error:
            return failed(f"log plugin cannot write: {_reason(error)}", reached=False)
        if done < len(data):
            return failed("log plugin cannot write: the disk is full", reached=False)
        return DONE

    def close(self) -> None:
        """Nothing is kept."""

    def _texts(self, delivery: Delivery) -> list[str]:
        kind, name, parts = delivery.aggregate_type, delivery.aggregate_id, delivery.parts
        texts = []
        if "event" in parts:
            if self._config.template is not None:
                texts.append(self._fill(self._config.template, delivery))
            else:
                payload = canonical.encode_text(parts["event"]["payload"])
                texts.append(f"aggregate={kind} id={name} event={delivery.event_type} payload={payload}")
        if "state" in parts:
            texts.append(f"aggregate={kind} id={name} state={canonical.encode_text(parts['state']['state'])}")
        if "schema" in parts:
            texts.append(f"schema={kind} payload={canonical.encode_text(parts['schema'])}")
        return texts

    def _fill(self, template: str, delivery: Delivery) -> str:
        values: dict[str, Any] = {
            "aggregate": delivery.aggregate_type,
            "id": delivery.aggregate_id,
            "event": delivery.event_type,
            "version": delivery.version,
            "event_id": delivery.event_id,
            "position": delivery.position,
            "delivery_id": delivery.id,
            "domain": delivery.where.domain,
            "plugin": self._name,
            "payload": canonical.encode_text(delivery.parts["event"]["payload"]),
            "state": canonical.encode_text(delivery.parts["state"]["state"]) if "state" in delivery.parts else "",
        }
        filled, at = "", 0
        for found in find_placeholders(template):
            filled += template[at : found.start()] + str(values[found[1]])
            at = found.end()
        return filled + template[at:]


def _one_line(text: str) -> str:
    """The text with everything that could begin another line, or move a cursor, as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _open(path: str) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return fd


def _reason(error: OSError) -> str:
    return (error.strerror or "it failed").lower()
