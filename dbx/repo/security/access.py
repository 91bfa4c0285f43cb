"""Who may do what: the one place where a token's rights are asked for, for local commands and for `dbx serve`.

A repository without an Access is open to whoever can read its files. With one, every domain that is opened through it
carries it, and everything that is written is checked event by event, in the writer, whichever command it came from.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbx.errors import Denied
from dbx.formats.envelope import Actor
from dbx.formats.token import parse_token
from dbx.model import rights
from dbx.model import token as tokens
from dbx.model.names import quote
from dbx.model.rights import action_of, resource_of
from dbx.repo.security import tokens as ledger
from dbx.repo.security.environments import check_environment
from dbx.repo.security.uses import Budget, budget
from dbx.repo.vault.keys import read_known_keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dbx.formats.commit import Commit
    from dbx.model.token import Claims
    from dbx.repo.domain import Domain
    from dbx.repo.replica.vet import Judge
    from dbx.repo.repository import Repository

REQUIRED = "auth.required"
_REMEMBERED = 200_000
_BODY = b'","body":"'


class Access:
    """What the holder of a token may do here. `cross` lets a token of one environment into another."""

    __slots__ = ("_budget", "_granted", "_met", "_repository", "claims", "cross")

    def __init__(self, repository: Repository, claims: Claims, *, cross: bool = False) -> None:
        self._repository = repository
        self._budget: Budget | None = None
        self._granted: set[tuple[str, str]] = set()
        self._met: dict[str, set[bytes]] = {}
        self.claims = claims
        self.cross = cross

    @property
    def token_id(self) -> str:
        """The id of the token, which stands in commits."""
        return self.claims.token_id

    @property
    def actor(self) -> Actor:
        """Who its holder is: the issuer of events."""
        return Actor(self.claims.group, self.claims.user)

    def require(self, action: str, resource: str | None = None, domain: str | None = None) -> None:
        """Raises Denied unless the token grants an action, on a resource and in a domain where they are given."""
        tokens.require(self.claims, action, resource, domain)

    def require_any(self, actions: Sequence[str], resource: str | None = None, domain: str | None = None) -> None:
        """Raises Denied unless the token grants one of some actions."""
        if not any(tokens.allows(self.claims, action, resource, domain) for action in actions):
            self.require(actions[0], resource, domain)

    def may_exchange(self, aggregate_type: str, aggregate_id: str) -> bool:
        """Whether the token may pull or push an aggregate."""
        resource = resource_of(aggregate_type, aggregate_id)
        return any(tokens.allows(self.claims, action, resource) for action in ("domain.pull", "domain.push"))

    def require_all(self, action: str, domain: str | None = None) -> None:
        """Raises Denied unless the token grants an action on all aggregates."""
        self.require(action, None, domain)
        if not self.sees_all:
            raise Denied(
                f"the token does not allow '{action}' on all aggregates",
                hint="name the aggregate, where the command takes one",
                details={"reason": "not-allowed", "action": action},
            )

    @property
    def sees_all(self) -> bool:
        """Whether the token is for all aggregates."""
        listed = self.claims.resources
        return not listed or any(each in ("*", tokens.ANYTHING, "aggregate:*", "aggregate:*:*") for each in listed)

    def sees(self, aggregate_type: str, aggregate_id: str) -> bool:
        """Whether the token may read an aggregate: what a list shows."""
        return tokens.allows(self.claims, "aggregate.read", resource_of(aggregate_type, aggregate_id))

    def enter(self, domain: Domain) -> None:
        """Raises Denied for a domain that the token is not for, or of another environment."""
        names = [each.lower() for each in self.claims.tenants]
        if names and domain.name not in names:
            raise Denied(
                f"the token is not for domain '{domain.name}'", details={"reason": "domain", "domain": domain.name}
            )
        if self.claims.environment is not None and not self.cross:
            check_environment(domain, self.claims.environment, "the token")

    def check_events(self, domain: Domain, envelopes: Sequence[bytes], *, pushed: bool = False) -> None:
        """Raises Denied unless the token allows every event, and so many. Take a budget first."""
        met = self._met.setdefault(domain.name, set())
        together = b"\n".join(envelopes)
        if b'_type":"aggregate_' in together or b'_type":"body_erased"' in together:
            for envelope in envelopes:
                self._check_event(domain, envelope)
        else:
            # Most events are further ones of aggregates that were met before, which may be appended to.
            first = [envelope for envelope in envelopes if envelope.endswith(b":1}")]
            heads = {envelope[: envelope.find(_BODY)]: envelope for envelope in envelopes}
            for envelope in first:
                self._check_event(domain, envelope)  # to create asks for the right to append as well
                met.add(envelope[: envelope.find(_BODY)])
            for head in heads.keys() - met:
                self._check_event(domain, heads[head])
            if len(met) > _REMEMBERED:
                met.clear()
            met.update(heads)
        if self._budget is not None:
            self._budget.spend(len(envelopes), pushed=pushed)

    def _check_event(self, domain: Domain, envelope: bytes) -> None:
        parts = envelope.split(b'"')
        action = action_of(parts[23].decode(), 1 if parts[-1] == b":1}" else 2)
        resource = resource_of(parts[7].decode(), parts[3].decode())
        # What the action is granted for in this domain is asked once, and then only about the aggregate.
        known = (domain.name, action) in self._granted
        if known and any(tokens.matches(pattern, resource) for pattern in self.claims.resources):
            return
        tokens.require(self.claims, action, resource, domain.name)
        self._granted.add((domain.name, action))

    def restart(self) -> None:
        """What was asked for since the last `settle` was not written, and is asked for once more."""
        if self._budget is not None:
            self._budget.restart()

    def settle(self) -> None:
        """What was asked for is written."""
        if self._budget is not None:
            self._budget.settle()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold what is left of the token's write limit, while something is written. Before any domain's lock."""
        if self._budget is not None:
            yield  # within another one
            return
        with budget(self._repository, self.token_id, self.claims.write_events) as left:
            self._budget = left
            try:
                yield
            finally:
                self._budget = None

    def judge(self, domain: Domain) -> Judge:
        """Asked about every commit that is pushed as it is: it names whoever made it, not this token."""

        def judge(commit: Commit, envelopes: Sequence[bytes], bodies: Sequence[bytes]) -> None:
            self.check_events(domain, envelopes, pushed=True)

        return judge


def is_required(repository: Repository) -> bool:
    """Whether every command must carry a token."""
    return bool(repository.find_setting(REQUIRED))


def admit(repository: Repository, text: str | None, *, foreign: bool = False, cross: bool = False) -> Access | None:
    """The rights of a token that is good now; None without one, where none is required. Raises Denied.

    `foreign`: the token may be meant for a remote, and then says nothing here. Where a token is required and none was
    given, that of `dbx token bootstrap` is taken.
    """
    if text is not None and foreign and not _is_ours(repository, text):
        text = None
    if text is None and is_required(repository):
        text = ledger.find_cli_token(repository)
        if text is None:
            raise Denied(
                "this workspace asks for a token (auth.required)",
                hint="give one with '--token', '--token-file' or DBX_TOKEN, or run 'dbx token bootstrap'",
                details={"reason": "missing"},
            )
    if text is None:
        return None
    return Access(repository, ledger.authenticate(repository, text).claims, cross=cross)


def check_command(
    access: Access, command: str, domain: str | None, aggregate: tuple[str | None, str | None] = (None, None)
) -> None:
    """Raises Denied unless the token allows a command, by the table of dbx.model.rights.

    `aggregate` is the (type, id) that the command names.
    """
    right = rights.right_of(command)
    if right is None:
        raise Denied(f"the command {quote(command)} is not for holders of tokens", details={"reason": "not-allowed"})
    if right.scope == rights.FREE or right.action == rights.ANY:
        return
    where = None if right.scope == rights.WORKSPACE else domain
    kind, name = aggregate
    if right.scope in (rights.ROWS, rights.SUBJECT) and kind is not None and name is not None:
        access.require(right.action, resource_of(kind, name), where)
    elif right.scope in (rights.SUBJECT, rights.WHOLE):
        access.require_all(right.action, where)
    else:
        access.require(right.action, None, where)


def _is_ours(repository: Repository, text: str) -> bool:
    key_id = parse_token(text).key_id
    return any(key.vkey.key_id.hex() == key_id for key in read_known_keys(repository).keys)
