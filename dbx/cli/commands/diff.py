"""Show which aggregates differ between two refs, domains or root files."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import click

from dbx.cli.complete import complete_ref, complete_source
from dbx.cli.context import Invocation, pass_invocation
from dbx.cli.frame import define
from dbx.cli.params import ID, TYPE
from dbx.cli.render import emit, json_text, note, paint, write
from dbx.cli.session import session, session_if_any
from dbx.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from click.shell_completion import CompletionItem

    from dbx.formats.note import Vkey
    from dbx.model.event import Event
    from dbx.ops.diff import Diff, Patch
    from dbx.repo.compare.values import Difference

_COLOURS = {"added": "green", "removed": "red", "ahead": "green", "behind": "red", "diverged": "yellow"}


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    files = [CompletionItem(incomplete, type="file")] if os.sep in incomplete or "." in incomplete else []
    names = {
        item.value: item for item in complete_ref(ctx, param, incomplete) + complete_source(ctx, param, incomplete)
    }
    return [*names.values(), *files]


@define()
@click.argument("a", required=False, shell_complete=_complete)
@click.argument("b", required=False, shell_complete=_complete)
@click.option("--aggregate", "aggregate_type", metavar="TYPE", type=TYPE, help="Only aggregates of this type.")
@click.option("--id", "--aggregate-id", "aggregate_id", metavar="ID", type=ID, help="Only the aggregate of this id.")
@click.option("--stat", is_flag=True, help="How many events, and a line that sums up.")
@click.option("-p", "--patch", is_flag=True, help="Show the events that one side has and the other has not.")
@click.option("--name-only", is_flag=True, help="Only the names.")
@click.option("--key", "keys", metavar="VKEY", multiple=True, help="Root files must be signed by one of these keys.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when they differ.")
@pass_invocation
def command(
    invocation: Invocation,
    a: str | None,
    b: str | None,
    aggregate_type: str | None,
    aggregate_id: str | None,
    stat: bool,
    patch: bool,
    name_only: bool,
    keys: tuple[str, ...],
    exit_code: bool,
) -> int:
    from dbx.ops.diff import Patch, Trust, Wanted, diff

    if aggregate_id is not None and aggregate_type is None:
        raise UsageError("'--id' needs '--aggregate'", hint="an aggregate is named by its type and its id")
    if name_only and (stat or patch):
        raise UsageError("'--name-only' stands alone", hint="leave out '--stat' and '--patch'")
    with ExitStack() as stack:
        find_session = cache(lambda: stack.enter_context(session(invocation)))
        trust = Trust(lambda: _find_keys(invocation, keys), required=bool(keys))
        found = diff(find_session, a, b, Wanted(aggregate_type, aggregate_id), trust)
        _tell_signers(invocation, found)
        if not found.related:
            why = "they are of different domains, and nothing is known that both have"
            note(invocation, f"'{found.a.name}' and '{found.b.name}' are unrelated: {why}")
        events = Patch(find_session, found) if patch else None
        if invocation.json:
            emit(invocation, _document(found, events))
        else:
            _print(invocation, found, events, stat=stat, name_only=name_only)
    if not found.differences and not invocation.json:
        note(invocation, "no differences")
    return 1 if exit_code and found.differences else 0


def _find_keys(invocation: Invocation, given: tuple[str, ...]) -> list[Vkey]:
    from dbx.ops.checkpoint import trusted_keys

    with session_if_any(invocation) as opened:
        return trusted_keys(opened, given)


def _tell_signers(invocation: Invocation, found: Diff) -> None:
    for place in (found.a, found.b):
        if place.signers:
            note(invocation, f"root file '{place.name}' is signed by {', '.join(place.signers)}")
        elif place.signers is not None:
            note(invocation, f"root file '{place.name}' is signed, but by no key that is trusted here")


# -- JSON --------------------------------------------------------------------------------------------------------------


def _document(found: Diff, patch: Patch | None) -> dict[str, Any]:
    return {
        "differs": bool(found.differences),
        "related": found.related,
        "common": None if found.common is None else {"commit": found.common[0], "seq": found.common[1]},
        "a": _place(found.a),
        "b": _place(found.b),
        "summary": _summary(found.differences),
        "aggregates": [_value(one, patch) for one in found.differences],
    }


def _place(place: Any) -> dict[str, Any]:
    return {
        "kind": place.kind,
        "name": place.name,
        "domain": place.domain,
        "domain_id": place.domain_id,
        "commit": place.commit,
        "seq": place.seq,
        "root": place.root,
        "signers": None if place.signers is None else list(place.signers),
    }


def _value(one: Difference, patch: Patch | None) -> dict[str, Any]:
    from dbx.cli.shapes import event_value

    value: dict[str, Any] = {
        "aggregate_type": one.type,
        "aggregate_id": one.id,
        "status": one.status,
        "a": _standing(one.a),
        "b": _standing(one.b),
        "common_version": one.common,
        "diverged_at": one.parts_at,
        "diverged_by": one.parts_by,
        "certain": one.certain,
    }
    if patch is not None:
        removed, added = patch.events(one)
        value["events"] = {"a": [event_value(e) for e in removed], "b": [event_value(e) for e in added]}
    return value


def _standing(standing: Any) -> dict[str, Any] | None:
    return None if standing is None else {"version": standing.version, "merkle_root": standing.root.hex() or None}


def _summary(differences: Iterable[Difference]) -> dict[str, int]:
    from dbx.repo.compare.values import STATUSES

    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    total = only_a = only_b = 0
    for one in differences:
        counts[one.status] += 1
        total += 1
        a, b = _alone(one)
        only_a += a or 0
        only_b += b or 0
    return {"aggregates": total, **counts, "events_only_in_a": only_a, "events_only_in_b": only_b}


def _alone(one: Difference) -> tuple[int | None, int | None]:
    """How many events only A has, and only B; None where roots do not tell."""
    versions = [0 if side is None else side.version for side in (one.a, one.b)]
    if one.common is None:
        return (None, None) if one.certain else (max(0, versions[0] - versions[1]), max(0, versions[1] - versions[0]))
    return versions[0] - one.common, versions[1] - one.common


# -- text --------------------------------------------------------------------------------------------------------------


def _print(invocation: Invocation, found: Diff, patch: Patch | None, *, stat: bool, name_only: bool) -> None:
    width = max((len(f"{one.type}/{one.id}") for one in found.differences), default=0)
    for one in found.differences:
        name = f"{one.type}/{one.id}"
        if name_only:
            write(name + "\n")
            continue
        if stat:
            a, b = _alone(one)
            write(f"{one.status:<9} {name:<{width}} | {_signed('+', b)} {_signed('-', a)}\n")
        else:
            status = paint(invocation, f"{one.status:<9}", _COLOURS[one.status])
            write(f"{status} {name:<{width}}  {_told(one, found)}\n")
        if patch is not None:
            _print_events(invocation, patch, one)
    if stat and found.differences:
        write(_sum(found) + "\n")


def _told(one: Difference, found: Diff) -> str:
    a, b = one.a, one.b
    if a is None or b is None:
        only, place = (b, found.b) if a is None else (a, found.a)
        version = 0 if only is None else only.version
        return f"v{version}, only in {place.name}"
    if one.status == "diverged":
        where = f"at version {one.parts_at}" if one.parts_at is not None else f"at or before version {one.parts_by}"
        return f"v{a.version} and v{b.version}, they part {where}"
    doubt = "" if one.certain else ", by version: roots alone do not tell whether one continues the other"
    return f"v{a.version} -> v{b.version}{doubt}"


def _print_events(invocation: Invocation, patch: Patch, one: Difference) -> None:
    removed, added = patch.events(one)
    for sign, colour, events in (("-", "red", removed), ("+", "green", added)):
        for event in events:
            write(paint(invocation, f"{sign} {_event_line(event)}", colour) + "\n")


def _event_line(event: Event) -> str:
    payload = "(body erased)" if event.payload is None else json_text(event.payload)
    return f"v{event.version} {event.event_type} {event.created_at} {event.event_id} {payload}"


def _signed(sign: str, count: int | None) -> str:
    return f"{sign}{'?' if count is None else count}"


def _sum(found: Diff) -> str:
    summary = _summary(found.differences)
    parts = [f"{summary[one]} {one}" for one in _COLOURS if summary[one]]
    noun = "aggregate differs" if summary["aggregates"] == 1 else "aggregates differ"
    only = [
        f"{summary[f'events_only_in_{side}']} only in {name}"
        for side, name in (("b", found.b.name), ("a", found.a.name))
    ]
    return f"{summary['aggregates']} {noun}: {', '.join(parts)}; events: {', '.join(only)}"
