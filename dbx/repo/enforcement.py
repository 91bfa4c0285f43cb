"""Which rules a write must keep: found without loading anything where there are none.

Every append asks, so the answer is kept with the domain until a file that it came from changes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from dbx.repo.identity import find_plain_id
from dbx.store.index import IndexDamaged, IndexUnavailable
from dbx.store.stamp import Stamp, is_still, stamp_of

if TYPE_CHECKING:
    from dbx.repo.domain import Domain
    from dbx.repo.rules import Rules
    from dbx.store.index import Index
    from dbx.store.stagedindex import Batch

SCHEMAS = "schemas"
_CHECKED = "staged_rules"
_WATCHED = ("domain.yaml", SCHEMAS, "refs/schemas/main")


class KnownRules(NamedTuple):
    """Rules, and how the files that they came from looked before they were read."""

    paths: tuple[str, ...]
    stamp: tuple[Stamp, ...]
    rules: Rules | None


def find_rules(domain: Domain) -> Rules | None:
    """The rules in force; None where names and sizes are all there is to check. Call it with `mutex` held.

    Raises Invalid for a schema file that is not named after a type, Corrupt where a published one is damaged.
    """
    known = domain.rules
    if known is not None and all(map(is_still, known.paths, known.stamp)):
        return known.rules
    directory = domain.directory
    names = [*_WATCHED, *(f"{SCHEMAS}/{name}" for name in directory.names(SCHEMAS))]
    paths = tuple(map(directory.path_of, names))
    stamp = tuple(map(stamp_of, paths))
    # No entry below schemas/ and no ref to a version: there are no schemas.
    rules = _load(domain, has_schemas=len(names) > len(_WATCHED) or stamp[-1] is not None)
    domain.rules = KnownRules(paths, stamp, rules)
    return rules


def note_checked(index: Index, rules: Rules, before: Batch | None, after: Batch) -> None:
    """Remember that all that is staged keeps these rules, if all that was staged before did."""
    with suppress(IndexUnavailable, IndexDamaged, OSError):  # derived: the commit checks what nobody vouches for
        if before is None or was_checked(index, rules, before):
            index.set_meta(_CHECKED, f"{after.seals}|{rules.fingerprint}")


def was_checked(index: Index, rules: Rules, batch: Batch) -> bool:
    """Whether every event of a batch was checked against these very rules when it was staged."""
    return bool(index.get_meta(_CHECKED) == f"{batch.seals}|{rules.fingerprint}")


def _load(domain: Domain, *, has_schemas: bool) -> Rules | None:
    restrict = domain.restrict
    if restrict is None and find_plain_id(domain.directory) is None:
        from dbx.repo.config import get_domain_value

        domain.forget_file()
        restrict = get_domain_value(domain, "restrict")
    if restrict == "off" or (restrict != "strict" and not has_schemas):
        return None
    from dbx.repo.rules import load_rules

    rules = load_rules(domain, strict=restrict == "strict")
    return None if rules.is_empty else rules
