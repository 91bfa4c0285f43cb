"""What every operation needs: an open repository, the domain it is about, and who acts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from dbx.errors import Corrupt, Invalid
from dbx.formats.envelope import Actor
from dbx.repo.repository import CONFIG, DOMAINS, HEAD, Repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.model.restrict import Restrict
    from dbx.model.time import Clock
    from dbx.repo.domain import Domain


_FSCK = "fsck"
_BOOTSTRAP = "token.bootstrap"  # by it the first token comes to be
GROUP = "local"
"""The group of an actor that names none."""


class Who(NamedTuple):
    """Who acts: `group` and `user` as they were given, None where not; `account` is the operating system's user."""

    group: str | None
    user: str | None
    account: str


class Session(NamedTuple):
    """Made once for each command; `domain_name` None means the checked-out domain."""

    repository: Repository
    domain_name: str | None
    who: Who

    @property
    def domain(self) -> Domain:
        """The domain the command is about. Raises NotFound."""
        return self.repository.domain(self.domain_name)

    @property
    def actor(self) -> Actor:
        """Who acts: the holder of the token that is used; else what was given, the settings user.group and user.name,
        the account in group 'local'."""
        if self.repository.access is not None:
            return self.repository.access.actor
        group, user = self.who.group, self.who.user
        if group is None:
            group = self.repository.find_setting("user.group") or GROUP
        if user is None:
            user = self.repository.find_setting("user.name") or self.who.account
        return Actor(group, user)

    @property
    def token_id(self) -> str | None:
        """The id of the token that is used, None where none is."""
        access = self.repository.access
        return None if access is None else access.token_id

    def require(self, action: str, *, domain: bool = True) -> None:
        """Raises Denied where a token is used that does not allow an action, in the domain of this session."""
        if self.repository.access is not None:
            name = (self.domain_name or self.repository.active) if domain else None
            self.repository.access.require(action, None, name)

    def find_set(self, key: str) -> int | bool | str | None:
        """A setting of the workspace that somebody has set, None for one that nobody has. Raises Invalid."""
        if self.repository.find_setting(key) is None:
            return None
        from dbx.repo import config

        found = config.get_value(self.repository, None, key)
        return found.value if found.is_set else None

    def close(self) -> None:
        """Close what was opened."""
        self.repository.close()


class Credential(NamedTuple):
    """What a command may do it with: the token, None for none, and what is asked of it.

    `foreign`: the token may be one for a remote. `cross`: it may be used in a domain of another environment. `command`
    is the command's name in the table of rights, `aggregate` the (type, id) that it names.
    """

    token: str | None
    command: str
    aggregate: tuple[str | None, str | None] = (None, None)
    foreign: bool = False
    cross: bool = False


def open_session(
    start: str,
    *,
    dbx_dir: str | None,
    domain: str | None,
    who: Who,
    clock: Clock,
    wait_s: float,
    safe: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
    restrict: str | None = None,
    credential: Credential | None = None,
    find_dek: Callable[[], bytes | None] = lambda: None,
) -> Session:
    """Open the repository of `start` or of the nearest directory above it; `dbx_dir` may also name a `.dbx` itself.

    `find_dek` gives the DEK of the environment, if there is one.
    `restrict` is a word for what is asked of events, before each domain's setting. Raises Invalid for an unknown one.
    """
    mode: Restrict | None = None
    if restrict is not None:
        from dbx.model.restrict import parse_restrict

        mode = parse_restrict(restrict)
    path = _is_repository(dbx_dir) if dbx_dir is not None else None
    if path is None:
        path = Repository.find(start if dbx_dir is None else dbx_dir)
    repository = Repository(
        path, clock=clock, wait_s=wait_s, safe=safe, progress=progress, restrict=mode, find_dek=find_dek
    )
    if credential is not None and (credential.token is not None or _asks_for_token(repository, credential)):
        _admit(repository, domain, credential)
    return Session(repository, domain, who)


def _asks_for_token(repository: Repository, credential: Credential) -> bool:
    """Whether the workspace asks for one. Of settings that cannot be read nobody knows, so nobody is let in.

    To fsck they are damage like any other.
    """
    try:
        return bool(repository.find_setting("auth.required"))
    except Invalid as error:
        if credential.command != _FSCK:
            raise
        raise Corrupt(error.message, hint=error.hint, details={"file": CONFIG, **error.details}) from None


def _admit(repository: Repository, domain: str | None, credential: Credential) -> None:
    """Hold the repository to the rights of a token. Raises Denied."""
    from dbx.model.rights import FREE, right_of
    from dbx.repo.security.access import admit, check_command

    right = right_of(credential.command)
    if right is not None and right.scope == FREE:
        return
    if credential.token is None and credential.command == _BOOTSTRAP:
        return
    access = admit(repository, credential.token, foreign=credential.foreign, cross=credential.cross)
    if access is not None:
        check_command(access, credential.command, domain or repository.active, credential.aggregate)
        repository.access = access


def _is_repository(path: str) -> str | None:
    return path if os.path.isfile(os.path.join(path, HEAD)) and os.path.isdir(os.path.join(path, DOMAINS)) else None
