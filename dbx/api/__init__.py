"""The Python API (dbx-api(7)): what `import dbx` offers, and promises to keep.

    with dbx.init("shop") as repository:
        orders = repository.domain()
        orders.append("order", "o-17", "order_placed", {"total": "49.50"})
        print(orders.get("order", "o-17").state)

Everything here may be used from many threads. A process that forks opens the repository anew in the child. Errors are
the children of dbx.DbxError.
"""

from __future__ import annotations

from dbx.api.domain import Batch, Domain
from dbx.api.repository import Repository, init, open
from dbx.api.values import Commit
from dbx.errors import (
    Conflict,
    Corrupt,
    DbxError,
    Denied,
    Failure,
    Invalid,
    KeyFailure,
    Locked,
    NotFound,
    RemoteFailure,
    UsageError,
)
from dbx.formats.envelope import Actor
from dbx.model.event import Aggregate, Event

__all__ = [
    "Actor",
    "Aggregate",
    "Batch",
    "Commit",
    "Conflict",
    "Corrupt",
    "DbxError",
    "Denied",
    "Domain",
    "Event",
    "Failure",
    "Invalid",
    "KeyFailure",
    "Locked",
    "NotFound",
    "RemoteFailure",
    "Repository",
    "UsageError",
    "init",
    "open",
]
