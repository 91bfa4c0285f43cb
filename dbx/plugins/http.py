"""Web hooks: each delivery is a POST, over a connection that is kept.

    POST /hook HTTP/1.1
    Content-Type: application/json                 (application/cloudevents+json with --format cloudevents)
    Idempotency-Key: <delivery id>
    X-DBX-Delivery: <delivery id>
    X-DBX-Attempt: 1
    X-DBX-Event: order_placed
    X-DBX-Replay: true                             (in a replay only)
    X-DBX-Signature-256: sha256=<hex HMAC-SHA256 of the body>         (with an HMAC key)

    {"event":{…},"state":{…},"schema":{…}}

2xx is success. 429 and 503 with Retry-After are honoured. 307 and 308 are followed on the same host only, others never.
"""

from __future__ import annotations

import hmac
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from dbx.errors import RemoteFailure
from dbx.model.delivery import DONE, Outcome, failed
from dbx.model.time import parse_time
from dbx.plugins.connect import Deadline, Refused, Unreachable, connect, reason
from dbx.plugins.exchange import Exchange, Malformed, Reply, make_request
from dbx.version import __version__

if TYPE_CHECKING:
    from dbx.model.delivery import Delivery
    from dbx.model.plugin import HttpConfig
    from dbx.plugins.base import Surroundings

MAX_REDIRECTS = 3
SHOWN_BYTES = 256
_NO_HEAD = (405, 501)
_MAX_RETRY_AFTER_S = 86_400.0
_KINDS = {"eventdbx": "application/json", "cloudevents": "application/cloudevents+json"}


class HttpSink:
    """One endpoint, and the connection to it while it is kept."""

    def __init__(self, config: HttpConfig, around: Surroundings) -> None:
        self._config = config
        self._around = around
        parts = urlsplit(config.endpoint)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._authority = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._exchange: Exchange | None = None

    def check(self) -> None:
        """HEAD must give 2xx, as in EventDBX; or say that there is no HEAD, which a web hook need not know.

        Raises RemoteFailure.
        """
        deadline = Deadline(self._config.timeout_s, self._around.monotonic)
        request = make_request("HEAD", self._target, self._authority, self._headers(), None)
        try:
            reply = self._ask(request, has_body=False, deadline=deadline)
        except (OSError, Malformed, Refused) as error:
            raise RemoteFailure(f"cannot reach '{self._host}': {_why(error)}") from None
        if not 200 <= reply.status < 300 and reply.status not in _NO_HEAD:
            raise RemoteFailure(f"'{self._host}' answers HEAD with {reply.status}")

    def deliver(self, delivery: Delivery) -> Outcome:
        """POST a delivery."""
        body = delivery.body
        headers = self._headers()
        headers += [
            ("Content-Type", _KINDS[self._config.format]),
            ("Idempotency-Key", delivery.id),
            ("X-DBX-Delivery", delivery.id),
            ("X-DBX-Attempt", str(delivery.attempt)),
            ("X-DBX-Event", delivery.event_type),
        ]
        if delivery.replay:
            headers.append(("X-DBX-Replay", "true"))
        if self._config.hmac_key is not None:
            signature = hmac.digest(self._config.hmac_key.encode(), body, "sha256").hex()
            headers.append(("X-DBX-Signature-256", f"sha256={signature}"))
        deadline = Deadline(self._config.timeout_s, self._around.monotonic)
        target = self._target
        try:
            for _ in range(MAX_REDIRECTS + 1):
                request = make_request("POST", target, self._authority, headers, body)
                reply = self._ask(request, has_body=True, deadline=deadline)
                if reply.status not in (301, 302, 303, 307, 308):
                    return self._judge(reply)
                further = self._follow(target, reply)
                if isinstance(further, Outcome):
                    return further
                target = further
        except Refused as error:
            return failed(f"http plugin request refused: {error}", reached=False)
        except (OSError, Malformed) as error:
            # A server that hangs is as good as down: the next delivery would hang as long.
            return failed(
                f"http plugin request failed: {_why(error)}",
                reached=not isinstance(error, Unreachable | TimeoutError),
            )
        return failed(f"http plugin request failed: redirected more than {MAX_REDIRECTS} times")

    def close(self) -> None:
        """Hang up."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def _headers(self) -> list[tuple[str, str]]:
        named = {name.lower() for name, _ in self._config.headers}
        own = [] if "user-agent" in named else [("User-Agent", f"dbx/{__version__}")]
        return [*own, *self._config.headers]

    def _ask(self, request: bytes, *, has_body: bool, deadline: Deadline) -> Reply:
        """The reply to a request. A kept connection that the server has closed meanwhile is made anew, once."""
        if self._exchange is not None and not self._exchange.is_idle():
            self.close()
        if self._exchange is None:
            self._exchange = self._connect(deadline)
        try:
            reply = self._exchange.ask(request, has_body=has_body, deadline=deadline)
        except BaseException:
            self.close()
            raise
        if not reply.reusable:
            self.close()
        return reply

    def _connect(self, deadline: Deadline) -> Exchange:
        config = self._config
        made = connect(
            self._host, self._port, allow_private=config.allow_private, around=self._around, deadline=deadline
        )
        if not self._secure:
            return Exchange(made)
        import ssl

        try:
            made.settimeout(deadline.left_s())
            return Exchange(ssl.create_default_context().wrap_socket(made, server_hostname=self._host))
        except OSError as error:
            made.close()
            raise Unreachable(error.errno, reason(error)) from None
        except BaseException:
            made.close()
            raise

    def _follow(self, target: str, reply: Reply) -> str | Outcome:
        """Where a redirect leads on this very host, or why it is not followed."""
        location = reply.headers.get("location", "")
        if reply.status not in (307, 308):
            return failed(f"http plugin request failed ({reply.status}): a redirect that would change the request")
        scheme = "https" if self._secure else "http"
        if not re.fullmatch(r"[!-~]{1,4096}", location):
            return failed(f"http plugin request failed ({reply.status}): a redirect to nowhere")
        try:
            parts = urlsplit(urljoin(f"{scheme}://{self._authority}{target}", location))
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return failed(f"http plugin request failed ({reply.status}): a redirect to nowhere")
        if (parts.scheme, parts.hostname, port) != (scheme, self._host, self._port) or parts.username is not None:
            return failed(f"http plugin request failed ({reply.status}): redirects to another host are not followed")
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _judge(self, reply: Reply) -> Outcome:
        if 200 <= reply.status < 300:
            return DONE
        shown = reply.body[:SHOWN_BYTES].decode("utf-8", "replace")
        text = f"http plugin request failed ({reply.status}): {shown}".rstrip(": ")
        after = reply.headers.get("retry-after") if reply.status in (429, 503) else None
        return failed(text, retry_after_s=None if after is None else self._retry_after_s(after))

    def _retry_after_s(self, text: str) -> float | None:
        """Seconds, or a date (RFC 9110 §10.2.3); None for what is neither."""
        if re.fullmatch("[0-9]{1,9}", text):
            return min(float(text), _MAX_RETRY_AFTER_S)
        with suppress(ValueError, TypeError, OverflowError):
            at = parsedate_to_datetime(text)
            now = datetime.fromtimestamp(parse_time(self._around.now()) / 1e6, UTC)
            left = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
            return min(max(0.0, left.total_seconds()), _MAX_RETRY_AFTER_S)
        return None


def _why(error: Exception) -> str:
    return reason(error) if isinstance(error, OSError) else str(error)
