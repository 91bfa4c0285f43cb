"""The ledger: issued, revoked, refreshed, kept alive; what is not in it opens nothing."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from dbx.errors import Corrupt, Denied, Invalid, KeyFailure, NotFound
from dbx.formats.envelope import Actor
from dbx.model import token as model
from dbx.model.token import MAX_KEEP_ALIVE_S
from dbx.repo.repository import Repository
from dbx.repo.security import audit, tokens
from dbx.repo.security.tokens import Fresh, Wanted
from dbx.repo.vault.keys import find_signing_key, get_signing_key, rotate_key
from tests.history import open_repository

BY = Actor("local", "root")
WANTED = Wanted("ops", "jane", ("aggregate.read", "aggregate.append"), ttl_s=600)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return open_repository(tmp_path)


def later(repository: Repository, seconds: int) -> Repository:
    """The same workspace, some seconds later."""
    now = repository.clock() + seconds * 1_000_000
    return Repository(repository.path, clock=lambda: now)


def refused(repository: Repository, text: str) -> str:
    with pytest.raises(Denied) as caught:
        tokens.authenticate(repository, text)
    assert text not in str(caught.value)
    return str(caught.value.details["reason"])


def test_the_first_token_makes_the_key(repository: Repository) -> None:
    assert not tokens.has_tokens(repository)
    made = tokens.generate(repository, WANTED, BY)
    key = find_signing_key(repository)
    assert key is not None
    assert made.held.key_id == key.vkey.key_id.hex()
    assert tokens.authenticate(repository, made.text).claims == made.held.claims
    assert [entry.event for entry in audit.iterate(repository)] == ["key.generate", "token.issue"]


def test_no_file_and_no_repr_holds_the_token(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    signature = made.text.rpartition(".")[2]
    for name in repository.directory.walk():
        assert signature.encode() not in Path(repository.directory.path_of(name)).read_bytes()
    assert signature not in repr(made)


def test_a_revoked_token_is_refused_and_not_revived(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    gone, changed = tokens.revoke(repository, made.text, "lost", BY)
    assert changed
    assert gone.status(0) == "revoked"
    assert not tokens.revoke(repository, made.held.claims.token_id, "again", BY)[1]
    assert refused(repository, made.text) == "revoked"
    for text in (made.text, made.held.claims.token_id):
        with pytest.raises(Denied):
            tokens.refresh(repository, text, BY)


def test_an_expired_token_is_refused_and_not_revived(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    then = later(repository, 631)
    assert refused(then, made.text) == "expired"
    for text in (made.text, made.held.claims.token_id):
        with pytest.raises(Denied):
            tokens.refresh(then, text, BY)
        with pytest.raises(Denied):
            tokens.refresh(later(repository, 601), text, BY)


def test_who_was_admitted_is_asked_again(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    kept = tokens.generate(repository, WANTED._replace(keep_alive=True), BY)
    jti = made.held.claims.token_id
    ledger = Path(repository.path, tokens.LEDGER)
    before = ledger.read_bytes()
    tokens.ask_again(repository, jti)
    tokens.ask_again(later(repository, 620), jti)  # the leeway is that of the beginning
    tokens.ask_again(later(repository, 400), kept.held.claims.token_id)
    assert ledger.read_bytes() == before  # who asks again prolongs nothing
    tokens.revoke(repository, made.text, "lost", BY)
    for where, name, reason in (
        (repository, jti, "revoked"),
        (later(repository, 640), kept.held.claims.token_id, "expired"),
        (repository, "11111111-1111-4111-8111-111111111111", "unknown"),
    ):
        with pytest.raises(Denied) as caught:
            tokens.ask_again(where, name)
        assert (caught.value.details["reason"], caught.value.details["jti"]) == (reason, name)


def test_refresh_replaces_and_never_widens(repository: Repository) -> None:
    limited = WANTED._replace(write_events=10, tenants=("sales",), resources=("aggregate:order:*",))
    made = tokens.generate(repository, limited, BY)
    fresh = tokens.refresh(repository, made.text, BY, used=4)
    assert refused(repository, made.text) == "revoked"
    old, new = made.held.claims, fresh.held.claims
    assert new == replace(
        old, token_id=new.token_id, issued_at=new.issued_at, expires_at=new.expires_at, write_events=6
    )
    assert new.ttl_s == old.ttl_s
    assert tokens.refresh(repository, fresh.text, BY, ttl_s=60).held.claims.ttl_s == 60
    with pytest.raises(Denied, match="for ever"):
        tokens.refresh(repository, tokens.generate(repository, WANTED, BY).text, BY, ttl_s=0)


def test_a_token_for_ever_stays_so(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED._replace(ttl_s=0), BY)
    assert made.held.expires_at is None
    fresh = tokens.refresh(repository, made.text, BY)
    assert fresh.held.expires_at is None
    assert tokens.authenticate(later(repository, 10**8), fresh.text)


def test_a_token_that_is_not_in_the_ledger_opens_nothing(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    key = get_signing_key(repository)
    claims = made.held.claims
    other = replace(claims, token_id="00000000-0000-4000-8000-000000000000")
    wider = replace(claims, actions=("*.*",))
    for forged in (other, wider):
        text = model.issue(forged, made.held.key_id, key.seed)
        assert refused(repository, text) == "unknown"
    with pytest.raises(NotFound):
        tokens.find(repository, other.token_id)


def test_tokens_of_a_rotated_key_stay_good(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    rotate_key(repository)
    assert tokens.authenticate(repository, made.text)
    assert tokens.generate(repository, WANTED, BY).held.key_id != made.held.key_id


def test_use_prolongs_a_token_that_is_kept_alive_up_to_the_maximum(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED._replace(keep_alive=True), BY)
    issued = made.held.claims.issued_at
    for at in (500, 1050):
        held = tokens.authenticate(later(repository, at), made.text)
        assert held.expires_at == pytest.approx(issued + at + 600, abs=20)
    assert refused(later(repository, 1650 + 60), made.text) == "expired"


def test_use_prolongs_no_token_beyond_the_maximum(repository: Repository) -> None:
    day = 86_400
    made = tokens.generate(repository, WANTED._replace(keep_alive=True, ttl_s=20 * day), BY)
    for at in (15 * day, 29 * day):
        held = tokens.authenticate(later(repository, at), made.text)
    assert held.expires_at == made.held.claims.issued_at + MAX_KEEP_ALIVE_S
    assert refused(later(repository, 31 * day), made.text) == "expired"


def test_the_bootstrap_token_is_stored_and_used_again(repository: Repository) -> None:
    made, fresh = tokens.bootstrap(repository, BY)
    assert fresh
    stored = Path(repository.directory.path_of(tokens.CLI_TOKEN))
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert tokens.find_cli_token(repository) == made.text
    assert tokens.bootstrap(repository, BY) == (Fresh(made.text, made.held), False)
    tokens.revoke(repository, made.text, "", BY)
    assert tokens.bootstrap(repository, BY)[1]
    os.chmod(stored, 0o644)
    with pytest.raises(KeyFailure):
        tokens.find_cli_token(repository)


def test_a_ledger_that_was_edited_is_damage(repository: Repository) -> None:
    made = tokens.generate(repository, WANTED, BY)
    path = Path(repository.directory.path_of(tokens.LEDGER))
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Corrupt):
        tokens.authenticate(repository, made.text)


@pytest.mark.parametrize(
    "wanted",
    [
        WANTED._replace(actions=()),
        WANTED._replace(actions=("aggregate.fly",)),
        WANTED._replace(group=""),
        WANTED._replace(user="a\n"),
        WANTED._replace(resources=("x" * 257,)),
        WANTED._replace(resources=tuple(map(str, range(65)))),
        WANTED._replace(ttl_s=10**12),
    ],
)
def test_what_no_token_can_say(repository: Repository, wanted: Wanted) -> None:
    with pytest.raises(Invalid):
        tokens.generate(repository, wanted, BY)
    assert not tokens.has_tokens(repository)
