"""Where the files of a domain lie below an address that names the domain's directory, or a repository."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dbx.repo.domainfile import MAX_BYTES
from dbx.repo.domainfile import NAME as FILE
from dbx.repo.repository import DOMAINS, HEAD, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_HEAD_BYTES = 4096
_match_head = re.compile(rf"ref: {DOMAINS}/([a-z0-9][a-z0-9_-]*)\n").fullmatch


def places(base: str, domain: str | None, hint: str, read: Callable[[str, int], bytes | None]) -> str | None:
    """The directory, below `base` or `base` itself, that holds the domain's files; None where there is none.

    It is the domain `domain`; where that is not said, what lies at `base`, the domain `hint`, or the checked-out one.
    `read` gives a file by its path, None where there is none.
    """
    for place in _candidates(base, domain, hint, read):
        if read(f"{place}/{FILE}", MAX_BYTES) is not None:
            return place
    return None


def _candidates(base: str, domain: str | None, hint: str, read: Callable[[str, int], bytes | None]) -> Iterator[str]:
    if domain is not None:
        if base.rpartition("/")[2] == domain:
            yield base
        yield from (f"{base}/{inner}{domain}" for inner in ("", f"{NAME}/{DOMAINS}/", f"{DOMAINS}/"))
        return
    yield base
    for repository in (f"{base}/{NAME}", base):
        if hint:
            yield f"{repository}/{DOMAINS}/{hint}"
        found = _match_head((read(f"{repository}/{HEAD}", _MAX_HEAD_BYTES) or b"").decode("utf-8", "replace"))
        if found is not None:
            yield f"{repository}/{DOMAINS}/{found[1]}"
