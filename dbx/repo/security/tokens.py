"""The tokens of a workspace, for all of its domains: issued, found again, revoked, replaced.

.dbx/tokens.json    what was issued, without the tokens themselves (formats.tokenledger)
.dbx/cli.token      the token of `dbx token bootstrap`, which only its owner may read

A token that is not in the ledger opens nothing, whoever signed it. The ledger is read and written under the workspace's
lock, and what changes it stands in the audit trail first.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Conflict, Corrupt, Denied, Invalid, KeyFailure, Locked, NotFound
from dbx.formats.envelope import Actor, is_actor_text
from dbx.formats.knownkeys import OWN
from dbx.formats.note import ED25519
from dbx.formats.tokenledger import MAX_BYTES, MAX_TOKENS, Issued, Revoked, decode_ledger, encode_ledger
from dbx.model import token as tokens
from dbx.model.time import parse_time
from dbx.model.token import Claims
from dbx.repo.batch.staging import new_uuid
from dbx.repo.security import audit
from dbx.repo.vault.keys import find_signing_key, generate_key, get_signing_key, read_known_keys
from dbx.repo.vault.secrets import is_current, seal_text, unseal_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbx.repo.repository import Repository

LEDGER = "tokens.json"
CLI_TOKEN = "cli.token"  # noqa: S105 - the name of a file
DEFAULT_TTL_S = 3600
BOOTSTRAP_TTL_S = 7200
MAX_TTL_S = 100 * 365 * 86_400
MAX_REASON_CHARS = 256
_KEEP_S = 90 * 86_400
_EXTEND_S = 60
_MAX_TOKEN_BYTES = 64 * 1024
INACTIVE = "token not found or inactive"


class Wanted(NamedTuple):
    """What a token is to say. `ttl_s` 0 is for ever; `subject` None is `group:user`; no `resources` are all of them."""

    group: str
    user: str
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    tenants: tuple[str, ...] = ()
    subject: str | None = None
    ttl_s: int = DEFAULT_TTL_S
    not_before_s: int | None = None
    write_events: int | None = None
    keep_alive: bool = False
    issued_by: str = "cli"
    environment: str | None = None


BOOTSTRAP = Wanted("cli", "root", (tokens.ANYTHING,), ("*",), (), "cli:bootstrap", issued_by="cli-bootstrap")
"""What the token of `dbx token bootstrap` says."""


class Held(NamedTuple):
    """A token as the ledger has it. `expires_at` is its end as of now, later than the claims' where use moved it."""

    claims: Claims
    key_id: str
    expires_at: int | None
    revoked: Revoked | None

    def status(self, now_s: int) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now_s >= self.expires_at else "active"


class Fresh(NamedTuple):
    """A token that was just issued, with its text, which is stored nowhere. Its repr does not show it."""

    text: str
    held: Held

    def __repr__(self) -> str:
        return f"Fresh({self.held.claims.token_id})"


def list_tokens(repository: Repository) -> list[Held]:
    """Every token of the ledger, oldest first. Raises Corrupt."""
    return [_held(one) for one in _read(repository)]


def has_tokens(repository: Repository) -> bool:
    """Whether any token was ever issued here."""
    return repository.directory.exists(LEDGER)


def generate(repository: Repository, wanted: Wanted, by: Actor, *, key_name: str | None = None) -> Fresh:
    """Issue a token; the first one makes the workspace's signing key. Raises Invalid."""
    check(wanted)
    if find_signing_key(repository) is None:
        with suppress(Conflict):  # somebody else was faster
            key = generate_key(repository, key_name)
            audit.record(repository, by, "key.generate", {"key_id": key.key_id.hex(), "name": key.name})
    with _changing(repository) as ledger:
        return _issue(repository, ledger, _claims(repository, wanted), by, "token.issue", {})


def find(repository: Repository, text: str) -> Held:
    """The token of the ledger that is meant by a token or by an id. Raises NotFound; Denied for a forged token."""
    return _held(_find(repository, _read(repository), text))


def authenticate(repository: Repository, text: str) -> Held:
    """A token that is good now; its life is prolonged where it has the right to. Raises Denied."""
    claims = tokens.read_token(text, _public_keys(repository))
    one = next((each for each in _read(repository) if each.token_id == claims.token_id), None)
    try:
        if one is None or one.claims != tokens.encode_claims(claims):
            raise _refusal(INACTIVE, "unknown")
        held = _held(one)
        check_active(held, _now(repository))
    except Denied as error:
        error.details["jti"] = claims.token_id
        raise
    end = tokens.kept_alive_until(claims, _now(repository))
    if end is not None and held.expires_at is not None and end - held.expires_at >= min(_EXTEND_S, _tenth(claims)):
        with suppress(OSError, Locked):  # the token is good as it is; a workspace that cannot be written goes on
            held = _prolong(repository, claims.token_id, end) or held
    return held


def ask_again(repository: Repository, token_id: str) -> None:
    """Raises Denied unless a token that was good a while ago still is. Its life is not prolonged; no lock is taken."""
    one = next((each for each in _read(repository) if each.token_id == token_id), None)
    try:
        if one is None:
            raise _refusal(INACTIVE, "unknown")
        check_active(_held(one), _now(repository))
    except Denied as error:
        error.details["jti"] = token_id
        raise


def check_active(held: Held, now_s: int) -> None:
    """Raises Denied unless a token of the ledger is good now."""
    if held.revoked is not None:
        raise _refusal(f"{INACTIVE}: it was revoked", "revoked")
    tokens.check_time(held.claims, now_s, expires_at=held.expires_at)


def revoke(repository: Repository, text: str, reason: str, by: Actor) -> tuple[Held, bool]:
    """(the token, whether it was good until now): nobody opens anything with it any more, in any domain."""
    if len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise Invalid(f"the reason must be at most {MAX_REASON_CHARS} characters on one line")
    with _changing(repository) as ledger:
        one = _find(repository, tuple(ledger), text)
        if one.revoked is not None:
            return _held(one), False
        gone = _revoke(repository, ledger, one, reason, by)
        _write(repository, ledger)
        return _held(gone), True


def refresh(repository: Repository, text: str, by: Actor, *, ttl_s: int | None = None, used: int = 0) -> Fresh:
    """Replace a token by one with the same rights, from now on; the old one is revoked.

    `used` is how many events were written with it: the new one may write what is left. One for ever stays so. Raises
    Denied for a token that is revoked or has expired, and for making one for ever of one that ends.
    """
    with _changing(repository) as ledger:
        one = _find(repository, tuple(ledger), text)
        held = _held(one)
        now_s = _now(repository)
        check_active(held, now_s)
        # The leeway is for clocks that differ, and here there is one.
        tokens.check_time(held.claims, now_s, expires_at=held.expires_at, skew_s=0)
        old = held.claims
        life = old.ttl_s if ttl_s is None else (ttl_s or None)
        if life is None and old.ttl_s is not None:
            raise _refusal("a refresh does not make a token last for ever", "widened")
        left = None if old.write_events is None else max(0, old.write_events - used)
        claims = replace(
            old,
            token_id=new_uuid(repository.entropy(16)),
            issued_at=now_s,
            expires_at=None if life is None else now_s + life,
            write_events=left,
        )
        _revoke(repository, ledger, one, "refreshed", by)
        return _issue(repository, ledger, claims, by, "token.refresh", {"replaces": old.token_id})


def bootstrap(
    repository: Repository, by: Actor, *, ttl_s: int | None = None, persist: bool = True, reuse: bool = True
) -> tuple[Fresh, bool]:
    """(a token that may do everything, whether it is new); with `persist` it is stored in the workspace, 0600.

    One that is stored and still good is used again, unless another life is asked for.
    """
    wanted = BOOTSTRAP._replace(ttl_s=BOOTSTRAP_TTL_S if ttl_s is None else ttl_s)
    if reuse and (text := find_cli_token(repository)) is not None:
        with suppress(Denied):
            held = authenticate(repository, text)
            if held.claims.subject == wanted.subject and ttl_s in (None, held.claims.ttl_s or 0):
                return Fresh(text, held), False
    made = generate(repository, wanted, by)
    if persist:
        _store_cli_token(repository, made.text)
    return made, True


def find_cli_token(repository: Repository) -> str | None:
    """The token that `bootstrap` stored. Raises KeyFailure where others can read it, or for lack of its key."""
    stored = _read_cli_token(repository)
    return None if stored is None else unseal_text(repository.vault, stored, CLI_TOKEN)


def reseal_cli_token(repository: Repository) -> None:
    """Seal the stored token under the key of today, if there is one that is not."""
    stored = _read_cli_token(repository)
    if stored is not None and not is_current(repository.vault, stored):
        _store_cli_token(repository, unseal_text(repository.vault, stored, CLI_TOKEN))


def _read_cli_token(repository: Repository) -> str | None:
    try:
        data = repository.directory.read_secret(CLI_TOKEN, _MAX_TOKEN_BYTES)
    except FileNotFoundError:
        return None
    return data.decode("ascii", "replace").strip() or None


def _store_cli_token(repository: Repository, text: str) -> None:
    repository.directory.write(CLI_TOKEN, seal_text(repository.vault, text, CLI_TOKEN).encode() + b"\n")


def check(wanted: Wanted) -> None:
    """Raises Invalid for what a token cannot say."""
    if not wanted.actions:
        raise Invalid("at least one '--action' must be provided")
    for action in wanted.actions:
        tokens.check_action(action)
    texts = (wanted.group, wanted.user, wanted.subject or "x", wanted.issued_by, wanted.environment or "x")
    if not all(is_actor_text(text) for text in texts):
        raise Invalid("group, user, subject, issuer and environment are 1 to 128 characters without control characters")
    for name, listed in (("action", wanted.actions), ("resource", wanted.resources), ("domain", wanted.tenants)):
        if len(listed) > 64:
            raise Invalid(f"a token names at most 64 {name}s")
    if not all(0 < len(each) <= 256 and each.isprintable() for each in wanted.resources):
        raise Invalid("a resource is 1 to 256 characters, such as 'aggregate:order:*'")
    if not 0 <= wanted.ttl_s <= MAX_TTL_S:
        raise Invalid("a token lasts at most 100 years, or for ever with '--ttl 0'")


# -- inside ------------------------------------------------------------------------------------------------------------


def _claims(repository: Repository, wanted: Wanted) -> Claims:
    now_s = _now(repository)
    return Claims(
        token_id=new_uuid(repository.entropy(16)),
        subject=wanted.subject or f"{wanted.group}:{wanted.user}",
        group=wanted.group,
        user=wanted.user,
        actions=tuple(dict.fromkeys(wanted.actions)),
        resources=tuple(dict.fromkeys(wanted.resources)),
        tenants=tuple(sorted({each.lower() for each in wanted.tenants})),
        issued_by=wanted.issued_by,
        issued_at=now_s,
        expires_at=None if wanted.ttl_s == 0 else max(now_s, wanted.not_before_s or 0) + wanted.ttl_s,
        not_before=wanted.not_before_s,
        write_events=wanted.write_events,
        keep_alive=wanted.keep_alive,
        environment=wanted.environment,
    )


def _issue(
    repository: Repository, ledger: list[Issued], claims: Claims, by: Actor, event: str, details: dict[str, str]
) -> Fresh:
    key = get_signing_key(repository)
    if key.vkey.algorithm != ED25519:
        raise KeyFailure("the key does not sign tokens", hint="see 'dbx key list'")
    one = Issued(tokens.encode_claims(claims), key.vkey.key_id.hex())
    _forget_old(ledger, _now(repository))
    if len(ledger) >= MAX_TOKENS:
        raise Invalid(f"a workspace holds at most {MAX_TOKENS} tokens", hint="revoke some, or let them expire")
    ledger.append(one)
    about = {
        "jti": claims.token_id,
        "subject": claims.subject,
        "actions": list(claims.actions),
        "resources": list(claims.resources),
        "domains": list(claims.tenants),
        "expires_at": claims.expires_at,
    }
    audit.record(repository, by, event, {**about, **details})
    _write(repository, ledger)
    return Fresh(tokens.issue(claims, one.key_id, key.seed), _held(one))


def _revoke(repository: Repository, ledger: list[Issued], one: Issued, reason: str, by: Actor) -> Issued:
    revoked = one._replace(revoked=Revoked(_now(repository), reason))
    ledger[ledger.index(one)] = revoked
    audit.record(repository, by, "token.revoke", {"jti": one.token_id, "reason": reason})
    return revoked


def _prolong(repository: Repository, token_id: str, end: int) -> Held | None:
    with _changing(repository) as ledger:
        for at, one in enumerate(ledger):
            if one.token_id == token_id and one.revoked is None:
                ledger[at] = one._replace(expires_at=max(end, one.expires_at or 0))
                _write(repository, ledger)
                return _held(ledger[at])
    return None


def _find(repository: Repository, ledger: tuple[Issued, ...], text: str) -> Issued:
    token_id = tokens.read_token(text, _public_keys(repository)).token_id if "." in text else text
    for one in ledger:
        if one.token_id == token_id:
            return one
    raise NotFound(INACTIVE, hint="see 'dbx token list'")


def _public_keys(repository: Repository) -> dict[str, bytes]:
    """The keys whose tokens are taken: our own, also those that were rotated away: what they signed stays good."""
    known = read_known_keys(repository).keys
    return {
        key.vkey.key_id.hex(): key.vkey.public for key in known if key.role == OWN and key.vkey.algorithm == ED25519
    }


def _held(one: Issued) -> Held:
    claims = tokens.decode_claims(one.claims)
    end = claims.expires_at
    if end is not None and one.expires_at is not None:
        end = max(end, one.expires_at)
    return Held(claims, one.key_id, end, one.revoked)


def _forget_old(ledger: list[Issued], now_s: int) -> None:
    """Drop what expired long ago; a token that the ledger does not have is refused all the same."""
    ledger[:] = [one for one in ledger if (end := _held(one).expires_at) is None or now_s < end + _KEEP_S]


def _tenth(claims: Claims) -> int:
    """A tenth of a token's life: use does not write the ledger more often than that."""
    return max(1, (claims.ttl_s or 0) // 10)


def _now(repository: Repository) -> int:
    return repository.clock() // 1_000_000


def _read(repository: Repository) -> tuple[Issued, ...]:
    data = repository.directory.find(LEDGER, MAX_BYTES)
    if data is None:
        return ()
    try:
        return decode_ledger(data)
    except Corrupt as error:
        path = repository.directory.path_of(LEDGER)
        raise Corrupt(f"'{path}': {error.message}", hint=error.hint, details={"file": LEDGER}) from None


def _write(repository: Repository, ledger: list[Issued]) -> None:
    repository.directory.write(LEDGER, encode_ledger(tuple(ledger)))


@contextmanager
def _changing(repository: Repository) -> Iterator[list[Issued]]:
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        yield list(_read(repository))
    finally:
        lock.close()


def _refusal(why: str, reason: str) -> Denied:
    return Denied(f"the token was refused: {why}", details={"reason": reason})


def parse_start(text: str) -> int:
    """A time from which a token is good, as people give it, in POSIX seconds. Raises Invalid."""
    return parse_time(text) // 1_000_000
