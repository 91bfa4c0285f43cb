"""After how many events of an aggregate a snapshot of it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.errors import DbxError
from dbx.repo.enforcement import SCHEMAS
from dbx.repo.identity import find_plain_id

if TYPE_CHECKING:
    from dbx.repo.domain import Domain

_KEY = "snapshot_threshold"


def threshold_of(domain: Domain, aggregate_type: str) -> int | None:
    """The threshold of a type: its schema's own, else the domain's setting; None where neither is set.

    Raises Invalid when the schema or domain.yaml breaks a rule.
    """
    if domain.directory.exists(f"{SCHEMAS}/{aggregate_type}.yaml"):
        from dbx.repo.schema.schemas import get_working

        own = get_working(domain.directory, aggregate_type).schema.snapshot_threshold
        if own is not None:
            return own
    return _domain_threshold(domain)


def has_thresholds(domain: Domain) -> bool:
    """Whether any type may have one. Every commit asks, so the answer is kept until the rules in force change.

    Of a domain.yaml as dbx wrote it nothing is parsed; of schemas, nothing that does not speak of thresholds.
    """
    known = domain.thresholds
    if known is None or known[0] is not domain.rules:
        if known is not None:
            domain.forget_file()
        known = domain.thresholds = domain.rules, _find_any(domain)
    return known[1]


def _find_any(domain: Domain) -> bool:
    try:
        if _domain_threshold(domain) is not None:
            return True
        if not domain.directory.names(SCHEMAS):
            return False
        from dbx.repo.schema.schemas import read_files

        return any(_KEY.encode() in data for data in read_files(domain.directory).values())
    except DbxError:
        return False  # who reads the settings and schemas themselves is told what is wrong with them


def _domain_threshold(domain: Domain) -> int | None:
    if find_plain_id(domain.directory) is not None:
        return None
    from dbx.repo.config import get_domain_value

    value = get_domain_value(domain, _KEY)
    return value if isinstance(value, int) else None
