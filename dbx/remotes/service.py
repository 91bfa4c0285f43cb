"""The WSGI application that serves a repository's domains to other repositories (dbx-protocol(5)).

    gunicorn --chdir /srv/flights dbx.remotes.service:application

Every request opens the repository and closes it again: nothing is kept that could grow stale, requests do not wait for
each other, and those that write take turns by the writer's lock of their domain.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from dbx import errors
from dbx.errors import Corrupt, DbxError, Denied, Invalid, NotFound
from dbx.formats import wire
from dbx.formats.bundle import START, Point
from dbx.formats.envelope import HASH, Actor
from dbx.formats.prometheus import CONTENT_TYPE
from dbx.model import names
from dbx.model.rights import resource_of
from dbx.remotes.gate import Gate
from dbx.remotes.metrics import Metrics
from dbx.remotes.refusal import TooLarge, refuse
from dbx.remotes.trail import pushed, pushed_aggregates
from dbx.repo.replica import offer as offers
from dbx.repo.replica.histories import Wanted, give, list_roots, prefix_roots, split, take
from dbx.repo.replica.quarantine import MAX_BYTES, quarantined, unpack
from dbx.repo.replica.receive import Terms, receive
from dbx.repo.replica.spool import spooled
from dbx.repo.repository import Repository
from dbx.repo.security import audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from dbx.model.time import Clock
    from dbx.remotes.trail import Entry
    from dbx.repo.domain import Domain
    from dbx.repo.replica.vet import Judge
    from dbx.repo.vault.keyring import FindDek

    Environ = Mapping[str, Any]
    StartResponse = Callable[..., Any]

PREFIX = "dbx/v1"
HEALTH, METRICS = "/healthz", "/metrics"
MAX_QUERY_CHARS = 16 * 1024
JSON = "application/json"
BINARY = "application/octet-stream"
_WRITES = {"bundle", "events"}


class Grant(NamedTuple):
    """What a request may do: who it is, whether it may write, and who is asked about every commit that it brings.

    `again` is asked whether all of this still holds, before what came is kept; it raises Denied.
    """

    actor: Actor
    write: bool
    judge: Judge | None = None
    again: Callable[[], None] | None = None


class Doors(NamedTuple):
    """Who is let in: by `gate` while there are no tokens, by `tokens` once there are."""

    gate: Callable[[Request], Grant]
    tokens: Gate
    read_only: bool
    find_dek: FindDek


class Request(NamedTuple):
    """A request: `verb` is the last word of its path, or HEALTH or METRICS; `domain` is the word before the prefix.

    Without such a word it is None.
    """

    method: str
    domain: str | None
    verb: str
    query: dict[str, str]
    read: Callable[[int], bytes]
    token: str | None
    peer: str


class Answer(NamedTuple):
    """An answer: its type, its length where that is known beforehand, its bytes, and what the audit trail is told."""

    kind: str
    size: int | None
    blocks: Iterable[bytes]
    entry: Entry | None = None


def anybody(request: Request) -> Grant:
    """A gate that lets everybody read and write."""
    return Grant(Actor("remote", request.peer), write=True)


def readers(request: Request) -> Grant:
    """A gate that lets everybody read."""
    return Grant(Actor("remote", request.peer), write=False)


def make_application(
    path: str | None = None,
    *,
    gate: Callable[[Request], Grant] = readers,
    tokens: Gate | None = None,
    read_only: bool = False,
    max_body_bytes: int = MAX_BYTES,
    wait_s: float = 30.0,
    clock: Clock = lambda: time.time_ns() // 1000,
    metrics: Metrics | None = None,
    find_dek: FindDek = lambda: None,
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """A WSGI application for the repository at `path`, or the one that is found from the working directory upwards.

    `gate` says what each request may do, or raises Denied, while the repository has no tokens; once it has, `tokens`
    says so. `find_dek` gives the DEK of the environment. With `read_only` nothing is taken in either way.
    """
    doors = Doors(gate, tokens or Gate(), read_only, find_dek)
    counted = metrics or Metrics()

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        with ExitStack() as stack:
            try:
                request = _parse(environ, max_body_bytes)
                answer = _answer(request, path, doors, wait_s, clock, stack, counted)
            except DbxError as error:
                return refuse(error, start_response)
            except OSError as error:
                return refuse(
                    errors.Failure(f"the server failed: {os.strerror(error.errno or 0).lower()}"), start_response
                )
            headers = [("Content-Type", answer.kind), ("Cache-Control", "no-store")]
            if answer.size is not None:
                headers.append(("Content-Length", str(answer.size)))
            start_response("200 OK", headers)
            return _Body(answer.blocks, stack.pop_all())

    return counted.wrap(application)


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The application for WSGI servers: the repository of the working directory, or of DBX_DIR in the request's
    environment; everybody may read, nobody may write."""
    return _application_of(environ.get("DBX_DIR"))(environ, start_response)


@cache
def _application_of(path: str | None) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """Made once, because it counts its requests."""
    return make_application(path)


class _Body:
    """The bytes of an answer, and what must stay open until they are sent."""

    def __init__(self, blocks: Iterable[bytes], stack: ExitStack) -> None:
        self._blocks = blocks
        self._stack = stack

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._blocks)

    def close(self) -> None:
        """The server calls this, whatever happened."""
        self._stack.close()


def _parse(environ: Environ, max_body_bytes: int) -> Request:
    method, path = str(environ.get("REQUEST_METHOD", "")), str(environ.get("PATH_INFO", ""))
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" and token else None
    if path in (HEALTH, METRICS) and method in ("GET", "HEAD"):
        return Request(method, None, path, {}, lambda _: b"", bearer, _peer(environ))
    found = re.fullmatch(rf"(?:/([^/]+))?/{PREFIX}/([a-z]+)", path)
    if found is None:
        raise NotFound("there is nothing at this address", hint="a domain is at /NAME")
    domain = None if found[1] is None else names.check_domain_name(found[1])
    text = str(environ.get("QUERY_STRING", ""))
    try:
        pairs = parse_qs(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=16)
    except ValueError:
        raise Invalid("the query cannot be read") from None
    if len(text) > MAX_QUERY_CHARS or any(len(values) > 1 for values in pairs.values()):
        raise Invalid("the query cannot be read")
    query = {key: values[0] for key, values in pairs.items()}
    return Request(method, domain, found[2], query, _body(environ, max_body_bytes), bearer, _peer(environ))


def _peer(environ: Environ) -> str:
    text = str(environ.get("REMOTE_ADDR", "") or "-")
    return text if re.fullmatch(r"[0-9A-Fa-f.:%a-z-]{1,64}", text) else "-"


def _body(environ: Environ, max_body_bytes: int) -> Callable[[int], bytes]:
    """What reads the body, and never beyond it."""
    text = str(environ.get("CONTENT_LENGTH") or "0")
    if not re.fullmatch("[0-9]{1,18}", text):
        raise Invalid("the request's length is no number")
    if int(text) > max_body_bytes:
        raise TooLarge("the request is larger than it may be", hint=f"at most {max_body_bytes} bytes are taken in")
    left = int(text)

    def read(size: int) -> bytes:
        nonlocal left
        data: bytes = environ["wsgi.input"].read(min(size, left)) if left else b""
        left -= len(data)
        return data

    return read


def _answer(
    request: Request,
    path: str | None,
    doors: Doors,
    wait_s: float,
    clock: Clock,
    stack: ExitStack,
    metrics: Metrics,
) -> Answer:
    if request.verb == HEALTH:
        return Answer("text/plain", 3, [b"ok\n"])
    handler = _VERBS.get((request.method, request.verb))
    if handler is None and request.verb != METRICS:
        raise NotFound("there is nothing at this address")
    with _our_fault():
        repository = Repository(path or Repository.find(os.curdir), clock=clock, wait_s=wait_s, find_dek=doors.find_dek)
        stack.callback(repository.close)
        access = doors.tokens.admit(repository, request.token, request.peer)
    grant = doors.gate(request) if access is None else Grant(access.actor, write=True)
    if request.method == "POST" and request.verb in _WRITES and (doors.read_only or not grant.write):
        raise Denied("this server takes in no commits", hint="it was started to be read only")
    repository.access = access
    grant = grant._replace(again=partial(doors.tokens.ask_again, repository, access, request.peer))
    if handler is None:
        data = metrics.render(repository)
        return Answer(CONTENT_TYPE, len(data), [data])
    domain = _find_domain(repository, request)
    if access is not None:
        access.require_any(_needs(request), domain=domain.name)
    answer = handler(domain, request, grant, stack)
    if answer.entry is not None:
        token = None if access is None else access.token_id
        audit.record(repository, grant.actor, *answer.entry, domain=domain.name, token=token)
    return answer


def _find_domain(repository: Repository, request: Request) -> Domain:
    name = request.domain
    if name is None:
        hint = request.query.get("name", "")
        name = hint if hint in repository.domain_names() else repository.active
    domain = repository.domain(name)
    with _our_fault():
        domain.id  # noqa: B018 - whether domain.yaml can be read
    return domain


@contextmanager
def _our_fault() -> Iterator[None]:
    """Settings here that cannot be read are not the fault of whoever asks, nor are they his to see. Raises Failure."""
    try:
        yield
    except Invalid:
        hint = "ask who runs it to run 'dbx fsck' there"
        raise errors.Failure("the server cannot read its own settings", hint=hint) from None


def _describe(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    return _whole(wire.encode_description(*offers.describe(domain)))


def _commits(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    seqs = request.query.get("seqs", "").split(",")
    if len(seqs) > wire.MAX_SEQS or not all(re.fullmatch("[0-9]{1,16}", seq) for seq in seqs):
        raise Invalid("'seqs' is a list of commits' numbers")
    return _whole(wire.encode_ids(offers.commit_ids(domain, [int(seq) for seq in seqs])))


def _bundle(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    schemas = request.query.get("schemas") or None
    if schemas is not None and not re.fullmatch(HASH, schemas):
        raise Invalid("'schemas' is the id of a schema version")
    if domain.access is not None:
        domain.access.require_all("domain.pull", domain.name)
    offer = stack.enter_context(offers.offering(domain, _base(request.query.get("after", "")), schemas=schemas))
    return Answer(BINARY, offer.size, offer.blocks())


def _base(text: str) -> Point:
    if not text:
        return START
    found = re.fullmatch(rf"([0-9]{{1,16}}):({HASH}):([0-9]{{1,16}})", text)
    if found is None:
        raise Invalid("'after' is a commit's number, its id, and the position behind it")
    return Point(int(found[1]), found[2], int(found[3]))


def _receive(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    access = domain.access
    judge = grant.judge if access is None else access.judge(domain)
    with quarantined(domain.directory) as directory:
        arrived = unpack(directory, request.read, domain.vault)
        with nullcontext() if access is None else access.writing():
            terms = Terms(grant.actor, "push: by a remote", judge=judge, validate=True, again=grant.again)
            done = receive(domain, arrived, terms)
    now = offers.describe(domain)
    return _whole(wire.encode_description(*now))._replace(entry=pushed(request.peer, done, now.schemas))


def _roots(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    kind = None if "type" not in request.query else names.check_type(request.query["type"])
    name = None if "id" not in request.query else names.check_id(request.query["id"])
    found = list_roots(domain, kind, name)
    access = domain.access
    if access is not None and not access.sees_all:
        found = (root for root in found if access.may_exchange(root.aggregate_type, root.aggregate_id))
    return _lines(wire.encode_root(*root) for root in found)


def _prefixes(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    return _whole(wire.encode_ids(prefix_roots(domain, _wanted(domain, request, ("domain.pull", "domain.push")))))


def _histories(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    return _lines(give(domain, _wanted(domain, request, ("domain.pull",))))


def _events(domain: Domain, request: Request, grant: Grant, stack: ExitStack) -> Answer:
    with quarantined(domain.directory) as directory, spooled(directory, request.read, domain.vault) as whole:
        reason = "push: aggregates by a remote"
        terms = Terms(grant.actor, reason, judge=grant.judge, validate=True, again=grant.again)
        done = take(domain, split(whole), terms)
    return _whole(wire.encode_count(done.events))._replace(entry=pushed_aggregates(request.peer, done))


def _wanted(domain: Domain, request: Request, actions: Sequence[str]) -> list[Wanted]:
    data = b"".join(iter(lambda: request.read(wire.MAX_BYTES + 1), b""))
    try:
        wanted = wire.decode_wanted(data)
    except Corrupt as error:
        error.details["received"] = True
        raise
    found = [Wanted(names.check_type(kind), names.check_id(name), version) for kind, name, version in wanted]
    if domain.access is not None:
        for one in found:
            domain.access.require_any(actions, resource_of(one.aggregate_type, one.aggregate_id), domain.name)
    return found


def _needs(request: Request) -> tuple[str, ...]:
    """The actions of which a token must grant one. Who pushes has to compare first."""
    if request.method == "POST" and request.verb in _WRITES:
        return ("domain.push",)
    return ("domain.pull",) if request.verb in ("bundle", "histories") else ("domain.pull", "domain.push")


_VERBS: dict[tuple[str, str], Callable[[Domain, Request, Grant, ExitStack], Answer]] = {
    ("GET", "describe"): _describe,
    ("GET", "commits"): _commits,
    ("GET", "bundle"): _bundle,
    ("POST", "bundle"): _receive,
    ("GET", "roots"): _roots,
    ("POST", "prefixes"): _prefixes,
    ("POST", "histories"): _histories,
    ("POST", "events"): _events,
}


def _whole(data: bytes) -> Answer:
    return Answer(JSON, len(data), [data])


def _lines(lines: Iterator[bytes]) -> Answer:
    def blocks() -> Iterator[bytes]:
        yield from lines
        yield wire.END + b"\n"

    return Answer(BINARY, None, blocks())
