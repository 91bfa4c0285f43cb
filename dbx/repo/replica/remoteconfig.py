"""The remotes of a domain, in domain.yaml, and the tokens for them, in credentials.yaml of the workspace.

    remotes: {"origin": {"url": "https://events.example.org/orders", "domain": "orders"}}

A token belongs to the address it was given for, never to a remote's name: another URL under that name does not get it.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dbx.errors import Conflict, Corrupt, Denied, Invalid, NotFound
from dbx.formats import yamltext
from dbx.formats.envelope import is_actor_text
from dbx.model.address import parse_address
from dbx.model.names import check_domain_name, quote, refuse_device
from dbx.repo.domainfile import NAME as FILE
from dbx.repo.domainfile import load_domain_file, write_domain_file
from dbx.repo.vault.secrets import is_current, seal_text, unseal_text

if TYPE_CHECKING:
    from dbx.model.address import Address
    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository

CREDENTIALS = "credentials.yaml"
ORIGIN = "origin"
MAX_REMOTES = 100
_MAX_BYTES = 1 << 20
_MAX_TOKEN_CHARS = 16 * 1024
_match_name = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}").fullmatch


class RemoteSetting(NamedTuple):
    """A remote: its name, where it is, and which domain there; None leaves that to the address, or to the server.

    One that is `sealed` is never sent a plain body; one of an `environment` is reached from domains of that one only.
    """

    name: str
    url: str
    domain: str | None
    sealed: bool = False
    environment: str | None = None

    @property
    def address(self) -> Address:
        """The address, checked."""
        return parse_address(self.url)

    def to_value(self) -> dict[str, Any]:
        """What domain.yaml holds under its name."""
        value: dict[str, Any] = {"url": self.url} if self.domain is None else {"url": self.url, "domain": self.domain}
        if self.environment is not None:
            value["env"] = self.environment
        return {**value, "sealed": True} if self.sealed else value

    @property
    def key(self) -> str:
        """What a token for it is kept under."""
        return self.url if self.domain is None else f"{self.url} {self.domain}"


def check_remote_name(name: str) -> str:
    """A remote's name: lower case, because it becomes a directory. Raises Invalid."""
    if _match_name(name) and ".." not in name:
        refuse_device("remote name", name)
        return name
    raise Invalid(f"the name of a remote is lower-case letters, digits and . _ -, at most 64, not {quote(name)}")


def check_environment_name(name: object) -> str | None:
    """The name of an environment, or None. Raises Invalid."""
    if name is None or (isinstance(name, str) and is_actor_text(name)):
        return name
    raise Invalid("an environment is 1 to 128 characters without control characters")


def list_remotes(domain: Domain) -> list[RemoteSetting]:
    """The remotes of a domain, sorted by name. Raises Invalid for what people wrote wrong."""
    domain.forget_file()
    return [_setting(domain, name, value) for name, value in sorted(domain.file.remotes.items())]


def get_remote(domain: Domain, name: str | None = None) -> RemoteSetting:
    """A remote by its name: by default `origin`, or the only one. Raises NotFound."""
    remotes = list_remotes(domain)
    for remote in remotes:
        if remote.name == (name or ORIGIN) or (name is None and len(remotes) == 1):
            return remote
    if not remotes:
        raise NotFound(
            f"domain '{domain.name}' has no remote"
            if name is None
            else f"domain '{domain.name}' has no remote {quote(name)}",
            hint=_other_domain(domain, name) or "add one with 'dbx remote add origin URL'",
        )
    names = ", ".join(remote.name for remote in remotes)
    raise NotFound(
        f"domain '{domain.name}' has no remote {quote(name or ORIGIN)}",
        hint=_other_domain(domain, name) or f"it has: {names}",
        details={"known": names},
    )


def _other_domain(domain: Domain, name: str | None) -> str | None:
    """A hint for who names a domain where a remote is meant, as EventDBX has it."""
    if name is None or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        return None
    is_domain = os.path.isfile(os.path.join(os.path.dirname(domain.directory.path), name, FILE))
    return f"'{name}' is a domain: choose it with '-d {name}', and its remote is meant" if is_domain else None


def put_remote(domain: Domain, remote: RemoteSetting, *, new: bool) -> None:
    """Store a remote. Raises Conflict when a `new` one's name is taken, NotFound when an old one is not there."""
    check_remote_name(remote.name)
    parse_address(remote.url)
    if remote.domain is not None:
        check_domain_name(remote.domain)
    _change(domain, remote.name, remote, new=new)


def remove_remote(domain: Domain, name: str) -> RemoteSetting:
    """Forget a remote and its tracking ref; what it was. Raises NotFound."""
    gone = get_remote(domain, name)
    _change(domain, name, None, new=False)
    domain.directory.remove(f"refs/remotes/{gone.name}/main")
    return gone


def find_token(repository: Repository, remote: RemoteSetting) -> str | None:
    """The token that was stored for a remote's address. Raises Denied where others can read the file."""
    token = _read_credentials(repository).get(remote.key)
    return unseal_text(repository.vault, token, _place(remote.key)) if isinstance(token, str) else None


def has_token(repository: Repository, remote: RemoteSetting) -> bool:
    """Whether a token is stored for a remote's address; no key is needed to know that."""
    return isinstance(_read_credentials(repository).get(remote.key), str)


def check_token(repository: Repository, remote: RemoteSetting, token: str | None) -> None:
    """Raises as `store_token` would, before anything is done: Invalid, Denied, KeyFailure."""
    if token is None:
        return
    if not 0 < len(token) <= _MAX_TOKEN_CHARS or not re.fullmatch(r"[!-~]+", token):
        raise Invalid("a token is one line of letters, digits and signs")
    _read_credentials(repository)
    seal_text(repository.vault, token, _place(remote.key))


def store_token(repository: Repository, remote: RemoteSetting, token: str | None) -> None:
    """Keep a token for a remote's address, 0600; None forgets it. Raises Invalid for what cannot be a token."""
    check_token(repository, remote, token)
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        tokens = _read_credentials(repository)
        if token is None:
            if tokens.pop(remote.key, None) is None:
                return
        else:
            tokens[remote.key] = seal_text(repository.vault, token, _place(remote.key))
        repository.directory.write(CREDENTIALS, yamltext.dump({"format": 1, "tokens": tokens}))
    finally:
        lock.close()


def reseal_tokens(repository: Repository) -> None:
    """Seal the stored tokens with the current data key. Raises KeyFailure."""
    lock = repository.lock()
    lock.acquire(repository.wait_s)
    try:
        tokens, vault = _read_credentials(repository), repository.vault
        old = {key: text for key, text in tokens.items() if isinstance(text, str) and not is_current(vault, text)}
        if not old:
            return
        for key, text in old.items():
            tokens[key] = seal_text(vault, unseal_text(vault, text, _place(key)), _place(key))
        repository.directory.write(CREDENTIALS, yamltext.dump({"format": 1, "tokens": tokens}))
    finally:
        lock.close()


def _place(key: str) -> str:
    """Where a token is sealed for: its address."""
    return f"credentials {key}"


def _change(domain: Domain, name: str, remote: RemoteSetting | None, *, new: bool) -> None:
    with domain.mutex:
        domain.lock.acquire(domain.wait_s)
        try:
            file = load_domain_file(domain.directory)
            remotes = dict(file.remotes)
            if new and name in remotes:
                raise Conflict(
                    f"domain '{domain.name}' has a remote '{name}' already", hint="change it with 'dbx remote set-url'"
                )
            if not new and name not in remotes:
                raise NotFound(f"domain '{domain.name}' has no remote '{name}'")
            if remote is None:
                del remotes[name]
            else:
                if len(remotes) >= MAX_REMOTES:
                    raise Invalid(f"a domain has at most {MAX_REMOTES} remotes")
                remotes[name] = remote.to_value()
            write_domain_file(domain.directory, replace(file, remotes=remotes))
            domain.forget_file()
        finally:
            domain.lock.release()


def _setting(domain: Domain, name: str, value: Any) -> RemoteSetting:
    path = domain.directory.path_of("domain.yaml")
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("url"), str)
        or not value.keys() <= {"url", "domain", "sealed", "env"}
    ):
        raise Invalid(f"in '{path}', the remote {quote(str(name))} must have a 'url', and may have a 'domain'")
    try:
        environment = check_environment_name(value.get("env"))
        check_remote_name(str(name))
        parse_address(value["url"])
        there = None if value.get("domain") is None else check_domain_name(value["domain"])
    except Invalid as error:
        raise Invalid(
            f"in '{path}', the remote {quote(str(name))} is wrong: {error.message}", hint=error.hint
        ) from None
    if not isinstance(value.get("sealed", False), bool):
        raise Invalid(f"in '{path}', 'sealed' of the remote {quote(str(name))} must be true or false")
    return RemoteSetting(str(name), value["url"], there, value.get("sealed", False), environment)


def _read_credentials(repository: Repository) -> dict[str, str]:
    try:
        fd = repository.directory.open_read(CREDENTIALS)
    except FileNotFoundError:
        return {}
    try:
        found = os.fstat(fd)
    finally:
        with suppress(OSError):
            os.close(fd)
    path = repository.directory.path_of(CREDENTIALS)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Denied(f"others can read '{path}'", hint=f"run 'chmod 600 {path}'")
    value = yamltext.load(repository.directory.read(CREDENTIALS, _MAX_BYTES), name=path)
    if not isinstance(value, dict) or value.get("format") != 1 or not isinstance(value.get("tokens"), dict):
        raise Corrupt(f"'{path}' does not hold tokens, or a newer dbx wrote it")
    return dict(value["tokens"])
