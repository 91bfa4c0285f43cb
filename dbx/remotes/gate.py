"""The gate of a server: whose token a request carries, and how often somebody may come with a wrong one.

Once a workspace has issued a token, or its setting auth.required says so, every request needs one. What is logged of a
token is its id, and only where its signature holds.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from dbx.errors import Denied
from dbx.repo.security.access import Access, is_required
from dbx.repo.security.tokens import ask_again, authenticate, has_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbx.repo.repository import Repository

FAILURES = 10
"""So many refused tokens of one peer within WINDOW_S are answered and logged; for more it has to wait."""
WINDOW_S = 60.0
_PEERS = 4096

UNAUTHENTICATED = frozenset(
    {"missing", "malformed", "unknown-key", "forged", "claims", "issuer", "audience", "unknown", "revoked"}
    | {"expired", "not-yet-valid"}
)
"""The reasons for which another token may help."""
TOO_MANY = "too-many"


class Gate:
    """Says for each request what its token allows. `fallback` is the token where a request carries none."""

    def __init__(self, log: Callable[[str], None] = lambda _: None, *, fallback: str | None = None) -> None:
        self._log = log
        self._fallback = fallback
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, repository: Repository, token: str | None, peer: str) -> Access | None:
        """The rights of a token; None where the workspace asks for none. Raises Denied."""
        if not (has_tokens(repository) or is_required(repository)):
            return None
        text = token or self._fallback
        if text is None:
            raise _missing()
        try:
            return Access(repository, authenticate(repository, text).claims)
        except Denied as error:
            self._fail(peer, error)
            raise

    def ask_again(self, repository: Repository, access: Access | None, peer: str) -> None:
        """Whoever was admitted when a request began is asked again before what it brought is kept. Raises Denied."""
        if access is None:
            if has_tokens(repository) or is_required(repository):
                raise _missing()
            return
        try:
            ask_again(repository, access.token_id)
        except Denied as error:
            self._fail(peer, error)
            raise

    def _fail(self, peer: str, error: Denied) -> None:
        """Note a refusal. Raises Denied of another kind where there were too many."""
        now = time.monotonic()
        with self._lock:
            times = self._failures.setdefault(peer, deque())
            self._failures.move_to_end(peer)
            while len(self._failures) > _PEERS:
                self._failures.popitem(last=False)
            while times and times[0] < now - WINDOW_S:
                times.popleft()
            many = len(times) >= FAILURES
            if not many:
                times.append(now)
        if many:
            raise Denied(
                "too many refused tokens came from there", hint="wait a minute", details={"reason": TOO_MANY}
            ) from None
        self._log(f"token {error.details.get('jti', '-')} of {peer} refused: {error.details.get('reason', '-')}")


def _missing() -> Denied:
    return Denied(
        "this server wants a token",
        hint="give one with '--token', or store it with the remote",
        details={"reason": "missing"},
    )
