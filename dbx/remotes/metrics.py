"""What a server counts, for monitors: requests, bytes, durations, and where each domain stands."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from dbx.errors import DbxError, Denied
from dbx.formats.prometheus import Family, Sample, encode_families
from dbx.repo.delivery.jobs import has_queue, survey
from dbx.repo.delivery.plugins import read_plugins
from dbx.repo.replica.offer import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dbx.repo.repository import Repository

    Collector = Callable[[Repository], Iterable[Family]]
    """What else is to be told of a repository: called for every answer."""

BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0)
_METHODS = frozenset({"GET", "HEAD", "POST"})
_VERBS = frozenset({"describe", "commits", "bundle", "roots", "prefixes", "histories", "events", "healthz", "metrics"})
_last_word = re.compile(r"/([a-z]{1,16})$").search


class Metrics:
    """Counters of one process; many threads may use them."""

    def __init__(self, collectors: Sequence[Collector] = ()) -> None:
        self._collectors = tuple(collectors)
        self._mutex = threading.Lock()
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._buckets: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, float] = {}
        self._counts: Counter[str] = Counter()
        self._received = self._sent = self._running = 0

    def wrap(
        self, application: Callable[[Any, Callable[..., Any]], Iterable[bytes]]
    ) -> Callable[[Any, Callable[..., Any]], Iterable[bytes]]:
        """The same WSGI application, counted."""

        def counted(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            request = _Counted(self, environ, start_response)
            try:
                return request.run(application)
            except BaseException:
                request.close()
                raise

        return counted

    def began(self) -> None:
        """A request has begun."""
        with self._mutex:
            self._running += 1

    def ended(self, method: str, verb: str, status: str, seconds: float, received: int, sent: int) -> None:
        """A request has ended; `seconds` from its first byte to the last of its answer."""
        bucket = next((n for n, limit in enumerate(BUCKETS_S) if seconds <= limit), len(BUCKETS_S))
        with self._mutex:
            self._running -= 1
            self._requests[method, verb, status] += 1
            self._buckets[verb, bucket] += 1
            self._seconds[verb] = self._seconds.get(verb, 0.0) + seconds
            self._counts[verb] += 1
            self._received += received
            self._sent += sent

    def render(self, repository: Repository) -> bytes:
        """Everything as Prometheus' text."""
        with self._mutex:
            families = list(self._families())
        families += [*_domains(repository), *_plugins(repository)]
        for collect in self._collectors:
            families += collect(repository)
        return encode_families(families)

    def _families(self) -> Iterator[Family]:
        requests = [
            Sample("", (("method", method), ("verb", verb), ("status", status)), count)
            for (method, verb, status), count in sorted(self._requests.items())
        ]
        yield Family("dbx_http_requests_total", "counter", "Requests that were answered.", requests)
        yield _single("dbx_http_requests_running", "gauge", "Requests that are being answered.", self._running)
        yield _single("dbx_http_received_bytes_total", "counter", "Bytes of requests' bodies.", self._received)
        yield _single("dbx_http_sent_bytes_total", "counter", "Bytes of answers' bodies.", self._sent)
        durations: list[Sample] = []
        for verb, count in sorted(self._counts.items()):
            below = 0
            for n, limit in enumerate(BUCKETS_S):
                below += self._buckets[verb, n]
                durations.append(Sample("_bucket", (("verb", verb), ("le", f"{limit:g}")), below))
            durations.append(Sample("_bucket", (("verb", verb), ("le", "+Inf")), count))
            durations.append(Sample("_sum", (("verb", verb),), self._seconds[verb]))
            durations.append(Sample("_count", (("verb", verb),), count))
        yield Family("dbx_http_request_seconds", "histogram", "How long requests took.", durations)


def _visible(repository: Repository) -> list[str]:
    """The domains that the asker may know of: those that its token, where it has one, may exchange."""
    names, access = repository.domain_names(), repository.access
    if access is None:
        return names
    seen: list[str] = []
    for name in names:
        try:
            access.require_any(("domain.pull", "domain.push"), domain=name)
        except Denied:
            continue
        seen.append(name)
    return seen


def _domains(repository: Repository) -> Iterator[Family]:
    heads: list[Sample] = []
    events: list[Sample] = []
    damaged: list[Sample] = []
    for name in _visible(repository):
        labels = (("domain", name),)
        try:
            head = describe(repository.domain(name)).head
        except (DbxError, OSError):
            damaged.append(Sample("", labels, 1))  # 'dbx fsck' says more
            continue
        damaged.append(Sample("", labels, 0))
        heads.append(Sample("", labels, head.seq))
        events.append(Sample("", labels, head.position))
    yield Family("dbx_domain_head_seq", "gauge", "Number of the newest commit, from 0; -1 before it.", heads)
    yield Family("dbx_domain_events", "gauge", "Events in the domain.", events)
    yield Family("dbx_domain_unreadable", "gauge", "1 where the domain's head cannot be read.", damaged)


def _plugins(repository: Repository) -> Iterator[Family]:
    """How far the plugins are in each domain; nothing where there are none."""
    behind: list[Sample] = []
    lags: list[Sample] = []
    dead: list[Sample] = []
    runners: list[Sample] = []
    is_readable = True
    try:
        plugins = [plugin for plugin in read_plugins(repository) if plugin.gets_events]
        for name in _visible(repository) if plugins else ():
            domain = repository.domain(name)
            if not has_queue(domain):
                continue
            state = survey(domain, plugins)
            runners.append(Sample("", (("domain", name),), int(state.runner is not None)))
            for one in state.plugins:
                labels = (("domain", name), ("plugin", one.plugin.name))
                behind.append(Sample("", labels, one.behind + one.processing))
                lags.append(Sample("", labels, one.lag_s))
                dead.append(Sample("", labels, one.dead))
    except (DbxError, OSError):
        is_readable = False  # 'dbx plugin status' says why
    yield _single("dbx_plugins_unreadable", "gauge", "1 where plugins or a queue cannot be read.", int(not is_readable))
    if runners:
        yield Family("dbx_plugin_behind_events", "gauge", "Events that a plugin has still to get.", behind)
        yield Family("dbx_plugin_lag_seconds", "gauge", "How old the oldest of them is.", lags)
        yield Family("dbx_plugin_dead_events", "gauge", "Events that were given up.", dead)
        yield Family("dbx_plugin_runner", "gauge", "1 while a runner is at work.", runners)


def _single(name: str, kind: Any, text: str, value: float) -> Family:
    return Family(name, kind, text, [Sample("", (), value)])


class _Counted:
    """One request, and its answer while it is sent."""

    def __init__(self, metrics: Metrics, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> None:
        self._metrics = metrics
        method, path = str(environ.get("REQUEST_METHOD", "")), str(environ.get("PATH_INFO", ""))
        found = _last_word(path)
        # Whatever was asked for, there are few labels.
        self._method = method if method in _METHODS else "other"
        self._verb = found[1] if found and found[1] in _VERBS else "other"
        self._environ = dict(environ)
        self._environ["wsgi.input"] = _CountedInput(environ.get("wsgi.input"))
        self._start_response = start_response
        self._status = "500"
        self._sent = 0
        self._result: Iterable[bytes] = ()
        self._began_s = time.monotonic()
        self._is_open = True
        metrics.began()

    def run(self, application: Callable[[Any, Callable[..., Any]], Iterable[bytes]]) -> _Counted:
        """Call the application."""
        self._result = application(self._environ, self._start)
        return self

    def __iter__(self) -> Iterator[bytes]:
        for block in self._result:
            self._sent += len(block)
            yield block

    def close(self) -> None:
        """The server calls this, whatever happened."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            if hasattr(self._result, "close"):
                self._result.close()
        finally:
            received = self._environ["wsgi.input"].count
            took_s = time.monotonic() - self._began_s
            self._metrics.ended(self._method, self._verb, self._status, took_s, received, self._sent)

    def _start(self, status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        self._status = status[:3]
        return self._start_response(status, headers, *more)


class _CountedInput:
    def __init__(self, source: Any) -> None:
        self._source = source
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        """As the one inside."""
        data: bytes = self._source.read(size)
        self.count += len(data)
        return data
