"""dbx: a git for events. The Python API is described in dbx-api(7)."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dbx.api import (
        Actor,
        Aggregate,
        Batch,
        Commit,
        Conflict,
        Corrupt,
        DbxError,
        Denied,
        Domain,
        Event,
        Failure,
        Invalid,
        KeyFailure,
        Locked,
        NotFound,
        RemoteFailure,
        Repository,
        UsageError,
        init,
        open,
    )
    from dbx.version import __version__

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
    "__version__",
    "init",
    "open",
]


def __getattr__(name: str) -> object:
    """Import what is asked for when it is asked for: the command line imports this package, and needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'dbx' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module("dbx.version" if name == "__version__" else "dbx.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
