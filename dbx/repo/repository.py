"""A workspace on disk: `.dbx/` with its settings, its domains, and which of them is checked out.

.dbx/config.yaml     settings of the workspace
.dbx/HEAD            ref: domains/<name>
.dbx/.gitignore      what a surrounding git repository tracks: settings and schemas
.dbx/domains/<name>/ a domain (dbx-format(5))
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dbx.errors import Conflict, Corrupt, DbxError, Denied, Invalid, NotFound
from dbx.formats.refs import HEAD as DOMAIN_HEAD
from dbx.model import names
from dbx.model.time import format_time
from dbx.repo.batch.staging import find_batch, new_uuid
from dbx.repo.domain import Domain
from dbx.repo.log import journals, read_ref
from dbx.repo.vault.keyring import KeyringVault
from dbx.store.fs import Directory
from dbx.store.lock import Lock
from dbx.store.paths import make_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbx.model.entropy import Entropy
    from dbx.model.restrict import Restrict
    from dbx.model.time import Clock
    from dbx.repo.security.access import Access
    from dbx.repo.vault.keyring import FindDek

NAME = ".dbx"
CONFIG = "config.yaml"
_PLAIN_CONFIG = b"format: 1\n"
HEAD = "HEAD"
DOMAINS = "domains"
DEFAULT = "default"
PARTS = ("segments", "manifests", "refs/heads", "refs/tags", "schemas", "logs")
_MAX_BYTES = 1 << 20
_GITIGNORE = b"""# Written by dbx: git tracks settings and schemas; the events are dbx's own.
*
!.gitignore
!config.yaml
!domains/
!domains/*/
!domains/*/domain.yaml
!domains/*/schemas/
!domains/*/schemas/*.yaml
"""


class Repository:
    """An open workspace. Domains opened through it are closed with it."""

    def __init__(
        self,
        path: str,
        *,
        clock: Clock,
        entropy: Entropy = os.urandom,
        wait_s: float = 10.0,
        progress: Callable[[int], None] | None = None,
        safe: Sequence[str] = (),
        restrict: Restrict | None = None,
        find_dek: FindDek = lambda: None,
    ) -> None:
        """Open the `.dbx` directory at `path`. `restrict` goes before the setting of every domain.

        `find_dek` gives the DEK of the environment, None where there is none; it is asked where something is sealed.

        Raises NotFound, Denied when it belongs to somebody else.
        """
        self.path = path
        self.clock = clock
        self.entropy = entropy
        self.wait_s = wait_s
        self.progress = progress
        self.restrict = restrict
        self.access: Access | None = None
        self.directory = Directory(path)
        self.vault = KeyringVault(self.directory, find_dek, entropy=entropy, clock=clock)
        self._domains: dict[str, Domain] = {}
        try:
            owner = os.stat(path).st_uid
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"'{path}' is not a dbx repository", hint="make one with 'dbx init'") from None
        if owner != os.geteuid() and "*" not in safe and os.path.realpath(path) not in safe:
            raise Denied(
                f"the repository '{path}' belongs to another user",
                hint=f"if you trust it, add '{os.path.realpath(path)}' to DBX_SAFE_DIRECTORIES",
            )

    @classmethod
    def init(
        cls,
        path: str,
        *,
        clock: Clock,
        domain: str = DEFAULT,
        entropy: Entropy = os.urandom,
        wait_s: float = 10.0,
    ) -> tuple[Repository, bool]:
        """Make `.dbx` in the directory `path`, which is made too; whether it is new. A second time changes nothing.

        HEAD is written last: a repository without one is an interrupted `init`, which this completes.
        """
        names.check_domain_name(domain)
        root = os.path.join(path, NAME)
        make_durably(os.path.abspath(path))
        parent = Directory(path)
        fresh = not parent.exists(f"{NAME}/{HEAD}")
        parent.make(NAME)
        repository = cls(root, clock=clock, entropy=entropy, wait_s=wait_s)
        if fresh:
            with repository.changing():
                fresh = repository._complete(domain)
            parent.sync()
        return repository, fresh

    def _complete(self, domain: str) -> bool:
        if self.directory.exists(HEAD):
            return False
        self.directory.write(".gitignore", _GITIGNORE)
        if not self.directory.exists(CONFIG):
            self.directory.write(CONFIG, _PLAIN_CONFIG)
        if domain not in self.domain_names():
            self._create(domain)
        self._set_active(domain)
        return True

    @staticmethod
    def find(start: str) -> str:
        """The path of the `.dbx` directory of `start` or of the nearest directory above it. Raises NotFound."""
        if not os.path.isdir(start):  # and above one that was misspelt there may be another repository
            raise NotFound(f"there is no directory '{start}'", hint="see whether its path is right")
        at = os.path.abspath(start)
        while True:
            if os.path.isdir(os.path.join(at, NAME)):
                return os.path.join(at, NAME)
            above = os.path.dirname(at)
            if above == at:
                raise NotFound(f"no dbx repository in '{start}' or above it", hint="make one with 'dbx init'")
            at = above

    def close(self) -> None:
        """Close every domain."""
        for domain in self._domains.values():
            domain.close()
        self._domains.clear()

    # -- domains ---------------------------------------------------------------------------------------------------

    @property
    def active(self) -> str:
        """The name of the checked-out domain."""
        data = self.directory.find(HEAD, 4096)
        if data is None:
            if not self._has_events():
                raise NotFound(f"'{self.path}' is half a repository: 'dbx init' was interrupted", hint="run it again")
            raise Corrupt(
                f"'{self.path}/{HEAD}' is missing",
                hint="run 'dbx init' again to complete the repository",
                details={"file": HEAD},
            )
        text = data.decode("utf-8", "replace")
        if not text.startswith(f"ref: {DOMAINS}/") or not text.endswith("\n"):
            raise Corrupt(f"'{self.path}/{HEAD}' is damaged", details={"file": HEAD})
        name = names.check_domain_name(text[len(f"ref: {DOMAINS}/") : -1])
        return name if self.directory.exists(f"{DOMAINS}/{name}/domain.yaml") else self._find_renamed(name)

    def domain_names(self) -> list[str]:
        """Every domain, sorted."""
        return [
            name
            for name in self.directory.names(DOMAINS)
            if name[0] != "." and self.directory.exists(f"{DOMAINS}/{name}/domain.yaml")
        ]

    def domain(self, name: str | None = None) -> Domain:
        """An open domain, the checked-out one by default. Raises NotFound with the names there are."""
        name = self.active if name is None else names.check_domain_name(name)
        if name not in self._domains:
            self.check_domain(name)
            directory = self.directory.below(f"{DOMAINS}/{name}")
            self._domains[name] = Domain(
                directory,
                name,
                clock=self.clock,
                entropy=self.entropy,
                wait_s=self.wait_s,
                progress=self.progress,
                find_worker=lambda: self.find_setting("snowflake_worker_id"),
                restrict=self.restrict,
                vault=self.vault,
            )
            if self.access is not None:
                self._enter(name, self.access)
        return self._domains[name]

    def _enter(self, name: str, access: Access) -> None:
        """Only those domains are opened that the token is for."""
        domain = self._domains[name]
        try:
            access.enter(domain)
        except DbxError:
            del self._domains[name]
            raise
        domain.access = access

    def check_domain(self, name: str) -> None:
        """Raises NotFound unless there is such a domain."""
        if not self.directory.exists(f"{DOMAINS}/{name}/domain.yaml"):
            import difflib

            near = difflib.get_close_matches(name, self.domain_names(), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"create it with 'dbx checkout -c {name}'"
            raise NotFound(f"domain '{name}' does not exist", hint=hint)

    def create_domain(self, name: str, *, forked_from: dict[str, Any] | None = None) -> Domain:
        """An empty domain. Raises Conflict when there is one of that name."""
        names.check_domain_name(name)
        with self.changing():
            if name in self.domain_names():
                raise Conflict(f"domain '{name}' exists already", hint=f"switch to it with 'dbx checkout {name}'")
            self._create(name, forked_from)
        return self.domain(name)

    def _create(self, name: str, forked_from: dict[str, Any] | None = None) -> None:
        from dbx.repo.domainfile import DomainFile, write_domain_file

        # Under a hidden name, renamed last: a crash leaves no half domain.
        hidden, directory = self.prepare_domain(name)
        write_domain_file(
            directory,
            DomainFile(new_uuid(self.entropy(16)), name, format_time(self.clock()), forked_from, settings={}),
        )
        self.directory.rename(hidden, f"{DOMAINS}/{name}")

    def prepare_domain(self, name: str) -> tuple[str, Directory]:
        """A domain directory without its domain.yaml, under a hidden name; rename it when it is whole."""
        hidden = f"{DOMAINS}/.new-{name}"
        directory = self.directory.below(hidden)
        for part in PARTS:
            directory.make(part)
        directory.write("HEAD", DOMAIN_HEAD)
        return hidden, directory

    def switch(self, name: str) -> bool:
        """Check a domain out; False when it was already."""
        self.check_domain(name)
        if self.active == name:
            return False
        self._set_active(name)
        return True

    def check_deletable(self, name: str) -> None:
        """Raises NotFound, and Conflict for the default and for the checked-out domain."""
        self.check_domain(names.check_domain_name(name))
        if name == DEFAULT:
            raise Conflict("the default domain cannot be deleted")
        if name == self.active:
            raise Conflict(f"domain '{name}' is checked out", hint="check another domain out first")

    def delete_domain(self, name: str, *, force: bool = False) -> None:
        """Remove a domain and all its events. Raises Conflict for the active one, the default one, and staged events.

        It is renamed first, so that a crash leaves it whole or gone.
        """
        self.check_deletable(name)
        domain = self.domain(name)
        # By force also what is too damaged to be looked at.
        batch = None if force else find_batch(domain)
        if batch is not None:
            raise Conflict(
                f"domain '{name}' has {batch.events} staged events", hint="commit or reset them, or add '--force'"
            )
        with self.changing():
            domain.lock.acquire(self.wait_s)
            try:
                self.directory.rename(f"{DOMAINS}/{name}", f"{DOMAINS}/.deleted-{name}-{self.entropy(4).hex()}")
            finally:
                domain.close()
                del self._domains[name]
            self.sweep()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """The workspace's lock, for making, renaming and deleting domains, and what interrupted ones left swept up."""
        lock = self.lock()
        lock.acquire(self.wait_s)
        try:
            self.sweep()
            yield
        finally:
            lock.close()

    def sweep(self) -> None:
        """Bring what was interrupted to its end: creations, deletions, renames. The workspace's lock must be held."""
        for entry in self.directory.names(DOMAINS):
            if entry.startswith((".deleted-", ".new-")):
                self._remove_tree(f"{DOMAINS}/{entry}")
        from dbx.repo.domainfile import load_domain_file

        for name in self.domain_names():
            with suppress(DbxError):  # damage is not for this moment to tell
                known_as = load_domain_file(self.directory.below(f"{DOMAINS}/{name}")).name
                if known_as != name and not self.directory.exists(f"{DOMAINS}/{known_as}"):
                    self._finish_rename(name, is_active=False)

    def rename_domain(self, old: str, new: str) -> None:
        """Give a domain another name; its id stays. Raises Conflict when the name is taken."""
        names.check_domain_name(new)
        domain = self.domain(old)
        if old == DEFAULT:
            raise Conflict("the default domain cannot be renamed")
        with self.changing():
            if new in self.domain_names():
                raise Conflict(f"domain '{new}' exists already")
            domain.lock.acquire(self.wait_s)
            try:
                was_active = self.active == old
                self.directory.rename(f"{DOMAINS}/{old}", f"{DOMAINS}/{new}")
                self._finish_rename(new, was_active)
            finally:
                domain.close()
                del self._domains[old]

    def _finish_rename(self, new: str, is_active: bool) -> None:
        from dbx.repo.domainfile import renamed, write_domain_file

        # domain.yaml comes last: until then it tells what HEAD may still be calling the domain.
        if is_active:
            self._set_active(new)
        directory = self.directory.below(f"{DOMAINS}/{new}")
        write_domain_file(directory, renamed(directory, new))

    def _find_renamed(self, old: str) -> str:
        """The domain that an interrupted rename gave another name than HEAD has; the rename is brought to its end."""
        from dbx.repo.domainfile import load_domain_file

        for name in self.domain_names():
            if load_domain_file(self.directory.below(f"{DOMAINS}/{name}")).name == old:
                with suppress(OSError):  # a reader may not be able to; it need not
                    self._finish_rename(name, is_active=True)
                return name
        return old

    def lock(self) -> Lock:
        """The lock for changing the workspace itself; acquire it."""
        return Lock(self.directory, "lock")

    # -- settings --------------------------------------------------------------------------------------------------

    def find_setting(self, key: str) -> Any:
        """A setting of the workspace that has no default; None while it is not set. Raises Invalid."""
        if self.directory.find(CONFIG, _MAX_BYTES) in (None, _PLAIN_CONFIG):
            return None  # without loading what reads and checks settings: every command asks for some
        from dbx.repo import config

        return config.get(self, None, key)

    def read_config(self) -> dict[str, Any]:
        """config.yaml as a mapping. Raises Invalid naming the file and the line."""
        from dbx.formats import yamltext

        data = self.directory.find(CONFIG, _MAX_BYTES)
        value = {} if data is None else yamltext.load(data, name=self.directory.path_of(CONFIG))
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise Invalid(f"'{self.directory.path_of(CONFIG)}' must be a mapping")
        if value.get("format", 1) != 1:
            raise Corrupt(f"'{self.directory.path_of(CONFIG)}' was written by a newer dbx", hint="upgrade dbx")
        return value

    def write_config(self, value: dict[str, Any]) -> None:
        """Change config.yaml, durably; comments in it stay."""
        from dbx.formats import yamledit

        before = self.directory.find(CONFIG, _MAX_BYTES) or b""
        self.directory.write(CONFIG, yamledit.update(before, value, name=self.directory.path_of(CONFIG)))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _has_events(self) -> bool:
        domains = [self.directory.below(f"{DOMAINS}/{name}") for name in self.directory.names(DOMAINS)]
        return any(read_ref(domain) is not None or journals(domain) for domain in domains)

    def _set_active(self, name: str) -> None:
        self.directory.write(HEAD, f"ref: {DOMAINS}/{name}\n".encode())

    def _remove_tree(self, name: str) -> None:
        self.directory.remove_tree(name)
