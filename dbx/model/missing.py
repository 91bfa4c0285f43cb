"""The errors for aggregates and events that are not there: one sentence each, and where to look."""

from __future__ import annotations

from dbx.errors import NotFound


def no_aggregate(domain: str, aggregate_type: str, aggregate_id: str) -> NotFound:
    """The error for an aggregate that a domain, given by its name, does not have.

    >>> print(no_aggregate("default", "order", "o-1"))
    aggregate 'order/o-1' does not exist in domain 'default'
    """
    return NotFound(
        f"aggregate '{aggregate_type}/{aggregate_id}' does not exist in domain '{domain}'",
        hint=f"see 'dbx aggregate list {aggregate_type}'",
    )


def no_event(domain: str, event_id: int | str) -> NotFound:
    """The error for an event that a domain, given by its name, does not have.

    >>> print(no_event("default", 42))
    event '42' does not exist in domain 'default'
    """
    return NotFound(f"event '{event_id}' does not exist in domain '{domain}'", hint="see 'dbx events'")


def no_file(path: str) -> NotFound:
    """The error for a file to be read that is not there."""
    return NotFound(f"there is no file '{path}'", hint="see whether its path is right", details={"path": path})


def no_version(aggregate_type: str, aggregate_id: str, version: int, latest: int) -> NotFound:
    """The error for a version that an aggregate has not reached, or that no aggregate has."""
    return NotFound(
        f"aggregate '{aggregate_type}/{aggregate_id}' has no version {version}, its latest is {latest}",
        hint=f"see 'dbx events {aggregate_type} {aggregate_id}'",
    )
