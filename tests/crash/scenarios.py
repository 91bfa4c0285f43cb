"""The commands that write, each in a repository where it has something to do."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import world
from tests.crash.world import State, append, item, make, stage_items, tidy

DONE = frozenset({0})
SEAL_BYTES = 8 * 1024 * 1024
DEK = bytes(range(32))


@dataclass(frozen=True)
class Scenario:
    """A command. `again`: exit statuses that are right when it is run once more after it did its work.

    `repeats`: running it again does it again. `between`: a state that is neither before nor after and still whole.
    """

    name: str
    argv: tuple[str, ...]
    prepare: Callable[[Path], None]
    again: frozenset[int] = DONE
    repeats: bool = False
    between: Callable[[State, State, State], bool] = field(default=lambda before, after, found: False)
    reorders: bool = False
    """Commits are made anew, behind others: the same events, but not in the same places."""
    sampled: int = 0
    """Of its calls take this many, chosen with a fixed seed, instead of all: most are also those of other commands."""
    states: int = 45
    """How many states of the disk to look at in each half of the test of power cuts."""

    def __str__(self) -> str:
        return self.name


def _nothing(where: Path) -> None:
    return None


def _few(where: Path) -> None:
    """Two segments' worth of history behind it, a journal, and an index that is up to date."""
    make(where)
    append(where, [item(n) for n in range(5)])
    tidy(where)
    append(where, [item(n) for n in range(5, 9)])


def _some_staged(where: Path) -> None:
    _few(where)
    stage_items(where, [item(n) for n in range(20, 32)])
    stage_items(where, [item(n, "o-new") for n in range(32, 35)])


def _file_to_stage(where: Path) -> None:
    _some_staged(where)
    (where / "work" / "batch.jsonl").write_text(world.lines([item(n, f"f-{n % 9}") for n in range(100, 140)]))


def _long_file_to_stage(where: Path) -> None:
    _some_staged(where)
    items = [item(n, f"f-{n % 9}", 100_000) for n in range(100, 150)]
    (where / "work" / "batch.jsonl").write_text(world.lines(items))


def _large_batch(where: Path) -> None:
    _few(where)
    stage_items(where, [item(n, f"l-{n % 9}", 50_000) for n in range(50, 75)])


def _nearly_full_journal(where: Path) -> None:
    make(where)
    (where / "work" / "big.json").write_text(json.dumps(item(500, size=200_000)["payload"]))
    noisy = [item(n, size=200_000) for n in range(90)]
    for one in noisy:
        append(where, [one])
        if _journal_bytes(where) > SEAL_BYTES - 60_000:
            return


def _journal_bytes(where: Path) -> int:
    from contextlib import closing

    with closing(world.open_repository(where)) as repository:
        return repository.domain().read(lambda working, _: working.head.journal_end)


def _scattered(where: Path) -> None:
    """Segments that are worth merging, an unsealed journal, and litter of a killed process."""
    make(where)
    for first in (0, 10, 20):
        append(where, [item(n) for n in range(first, first + 4)])
        _seal(where)
    append(where, [item(40)])
    (where / "work" / ".dbx" / "domains" / "default" / "segments" / ".tmp-999999-0011").write_bytes(b"litter")


def _seal(where: Path) -> None:
    from contextlib import closing

    from dbx.repo.seal import seal
    from dbx.repo.writer import writing

    with closing(world.open_repository(where)) as repository, writing(repository.domain()) as working:
        repository.domain().flush()
        seal(repository.domain(), working, working.head)


def _other_domain(where: Path) -> None:
    from contextlib import closing

    _few(where)
    with closing(world.open_repository(where)) as repository:
        repository.create_domain("other")
    append(where, [item(n) for n in range(3)], domain="other")
    stage_items(where, [item(7)], domain="other")


def _other_active(where: Path) -> None:
    from contextlib import closing

    _other_domain(where)
    with closing(world.open_repository(where)) as repository:
        repository.switch("other")


def _stale_index(where: Path) -> None:
    _some_staged(where)
    (where / "work" / ".dbx" / "domains" / "default" / "index.db").unlink()


def _made_not_switched(before: State, after: State, found: State) -> bool:
    return (found.shape[1:], found.active) == (after.shape[1:], before.active)


def _unpublished_schema(where: Path) -> None:
    _few(where)
    _write_schemas(where, {"order": "placed", "item": "made"})


def _two_versions(where: Path) -> None:
    from contextlib import closing

    from dbx.repo.schema.publishing import publish

    _few(where)
    for files in ({"order": "placed", "item": "made"}, {"order": "paid", "parcel": "sent"}):
        _write_schemas(where, files)
        with closing(world.open_repository(where)) as repository:
            publish(repository.domain(), actor=None)


def _write_schemas(where: Path, files: dict[str, str]) -> None:
    folder = where / "work" / ".dbx" / "domains" / "default" / "schemas"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    for name, event in files.items():
        (folder / f"{name}.yaml").write_text(f"events: {{{event}: {{}}, order_paid: {{}}}}\n")


def _published_not_committed(before: State, after: State, found: State) -> bool:
    """A version without a commit that names it: what is there is published, and nothing is half."""
    mine, theirs = found.domains["default"], after.domains["default"]
    return (mine.events, mine.schemas) == (before.domains["default"].events, theirs.schemas)


def _cloned(where: Path) -> None:
    """`default` is a clone of `other`, a domain beside it: trials are copied, so the address is relative."""
    from contextlib import closing

    from dbx.ops.clone import clone
    from dbx.ops.link import Access
    from dbx.ops.session import Session, Who
    from dbx.repo.replica.remoteconfig import RemoteSetting, put_remote

    make(where)
    with closing(world.open_repository(where)) as repository:
        repository.create_domain("other")
    append(where, [item(n) for n in range(5)], domain="other")
    with closing(world.open_repository(where)) as repository:
        session = Session(repository, None, Who(None, "jane", "jane"))
        clone(session, f"{where / 'work'}#other", "default", Access())
        put_remote(repository.domain("default"), RemoteSetting("origin", ".#other", None), new=False)


def _to_pull(where: Path) -> None:
    _cloned(where)
    append(where, [item(n) for n in range(5, 9)], domain="other")


def _to_push(where: Path) -> None:
    _cloned(where)
    append(where, [item(n) for n in range(5, 9)])


def _to_merge(where: Path) -> None:
    _to_pull(where)
    append(where, [item(n, "o-mine") for n in range(10, 12)])


def _to_recommit(where: Path) -> None:
    """Both sides went on, with different aggregates. What was ours is made anew behind what was theirs."""
    _cloned(where)
    append(where, [item(n, "o-theirs") for n in range(5, 8)], domain="other")
    append(where, [item(n, "o-mine") for n in range(8, 10)])


def _handed_over(where: Path) -> None:
    """Both sides went on, and the remote was given one of our aggregates by itself: that is left out of ours."""
    from contextlib import chdir, closing

    from dbx.ops.link import Access
    from dbx.ops.push import push_aggregates
    from dbx.ops.session import Session, Who

    _to_recommit(where)
    append(where, [item(n, "o-more") for n in range(10, 12)])
    with chdir(where / "work"), closing(world.open_repository(where)) as repository:
        push_aggregates(Session(repository, None, Who(None, "jane", "jane")), None, "order", "o-mine", Access())


def _pulled_not_pushed(before: State, after: State, found: State) -> bool:
    """A watcher's cycle is a pull and then a push: between the two everything is ours, and theirs as it was."""
    mine, theirs = found.domains["default"], found.domains["other"]
    return (mine.shape, theirs.shape) == (after.domains["default"].shape, before.domains["other"].shape)


def _bundled(where: Path) -> None:
    from contextlib import closing

    from dbx.ops.bundle import create
    from dbx.ops.session import Session, Who

    _to_pull(where)
    with closing(world.open_repository(where)) as repository:
        create(Session(repository, "other", Who(None, "jane", "jane")), str(where / "work" / "all.bundle"), None)


def _seal_from_now_on(where: Path) -> None:
    from contextlib import closing

    from dbx.repo.vault.keyring import set_dek

    with closing(world.open_repository(where)) as repository:
        set_dek(repository.directory, DEK, store=True, clock=repository.clock, entropy=repository.entropy)


def _sealed(where: Path) -> None:
    """Plain segments and a plain journal, and sealed events behind them."""
    _few(where)
    _seal_from_now_on(where)
    append(where, [item(n, "o-sealed") for n in range(9, 12)])


def _sealed_staged(where: Path) -> None:
    _sealed(where)
    stage_items(where, [item(n) for n in range(20, 32)])


def to_reseal(where: Path) -> None:
    """What is plain: segments, a journal, an index, staged events, a snapshot. What is not: some events behind them."""
    from contextlib import closing

    from dbx.ops.session import Session, Who
    from dbx.ops.snapshots import create_snapshot

    _some_staged(where)
    with closing(world.open_repository(where)) as repository:
        create_snapshot(Session(repository, None, Who(None, "jane", "jane")), "order", "o-1")
    _seal_from_now_on(where)
    append(where, [item(n, "o-sealed") for n in range(9, 12)])


def _with_plugin(where: Path) -> None:
    """One that writes lines to a file beside the workspace, and events that were there before it and since."""
    from contextlib import closing

    from dbx.model.plugin import LogConfig
    from dbx.ops.plugin import Given, configure
    from dbx.ops.session import Session, Who

    _few(where)
    with closing(world.open_repository(where)) as repository:
        session = Session(repository, None, Who(None, "jane", "jane"))
        configure(session, "audit", LogConfig(file=str(where / "lines")), Given())
    append(where, [item(n) for n in range(9, 12)])


def _apply(*more: str) -> tuple[str, ...]:
    return ("aggregate", "apply", "order", "o-1", "order_paid", "--field", "sum=12", *more)


CONFLICT = frozenset({4})
SOME = {"sampled": 12, "states": 15}
RESEAL = Scenario("gc-reseal", ("gc", "--reseal"), to_reseal, sampled=24, states=15)
SCENARIOS = (
    Scenario("init", ("init",), _nothing),
    Scenario("apply-first", _apply("--create"), make, repeats=True),
    Scenario("apply-later", _apply(), _few, repeats=True),
    Scenario("create", ("aggregate", "create", "order", "o-99", "--event", "order_opened"), _few, CONFLICT),
    Scenario("stage-first", _apply("--stage"), _few, repeats=True),
    Scenario("stage-later", _apply("--stage"), _some_staged, repeats=True),
    Scenario("stage-from", ("aggregate", "apply", "--stage", "--from", "batch.jsonl"), _file_to_stage, repeats=True),
    Scenario(
        "stage-from-long",
        ("aggregate", "apply", "--stage", "--from", "batch.jsonl"),
        _long_file_to_stage,
        repeats=True,
    ),
    Scenario("commit-journal", ("commit", "-m", "all"), _some_staged, frozenset({0, 1})),
    Scenario("commit-segment", ("commit", "-m", "all"), _large_batch, frozenset({0, 1})),
    Scenario("reset", ("reset", "--yes"), _some_staged, frozenset({0, 1})),
    Scenario(
        "seal",
        ("aggregate", "apply", "order", "o-1", "big", "--payload", "@big.json"),
        _nearly_full_journal,
        repeats=True,
        states=12,
    ),
    Scenario("gc", ("gc",), _scattered),
    Scenario("checkout-create", ("checkout", "-c", "new"), _few, CONFLICT, between=_made_not_switched),
    Scenario(
        "checkout-fork", ("checkout", "-c", "new", "--from", "default"), _few, CONFLICT, between=_made_not_switched
    ),
    Scenario("checkout-delete", ("checkout", "other", "--delete", "--force", "--yes"), _other_domain, frozenset({3})),
    Scenario("checkout-switch", ("checkout", "other"), _other_domain),
    Scenario("domain-rename", ("domain", "rename", "other", "third"), _other_active, frozenset({3})),
    Scenario("schema-create", ("schema", "create", "farm", "-e", "opened"), _unpublished_schema, CONFLICT),
    Scenario("schema-field", ("schema", "field", "order", "memo", "--type", "text"), _unpublished_schema),
    Scenario("schema-publish", ("schema", "publish"), _unpublished_schema, **SOME),
    Scenario("schema-rollback", ("schema", "rollback"), _two_versions, frozenset({3}), **SOME),
    Scenario("apply-publishes", _apply(), _unpublished_schema, repeats=True, between=_published_not_committed, **SOME),
    Scenario("config-set", ("config", "page_limit", "77"), _few),
    Scenario("plugin-config", ("plugin", "config", "log", "--name", "new"), _with_plugin, **SOME),
    Scenario("plugin-disable", ("plugin", "disable", "audit"), _with_plugin, **SOME),
    Scenario("plugin-remove", ("plugin", "remove", "audit", "--disable"), _with_plugin, frozenset({3}), **SOME),
    Scenario("plugin-replay", ("plugin", "replay", "audit", "order"), _with_plugin, **SOME),
    Scenario("reindex", ("reindex",), _stale_index),
    Scenario("clone", ("clone", ".#other", "new"), _to_pull, CONFLICT, **SOME),
    Scenario("fetch", ("fetch",), _to_pull, **SOME),
    Scenario("pull", ("pull",), _to_pull, **SOME),
    Scenario("pull-recommit", ("pull",), _to_recommit, reorders=True, **SOME),
    Scenario("pull-handed-over", ("pull",), _handed_over, reorders=True, **SOME),
    Scenario("push", ("push",), _to_push, **SOME),
    Scenario("watch", ("watch", "--run-once"), _to_recommit, reorders=True, between=_pulled_not_pushed, **SOME),
    Scenario("merge", ("merge", "--from", "other"), _to_merge, **SOME),
    Scenario("config-dek", ("config", "--dek", b64encode(DEK).decode()), _some_staged, **SOME),
    Scenario("apply-sealed", _apply(), _sealed, repeats=True, **SOME),
    Scenario("stage-sealed", _apply("--stage"), _sealed_staged, repeats=True, **SOME),
    Scenario("commit-sealed", ("commit", "-m", "all"), _sealed_staged, frozenset({0, 1}), **SOME),
    Scenario("key-rotate-dek", ("key", "rotate", "--dek"), _sealed, **SOME),
    Scenario("key-rotate-data", ("key", "rotate", "--data"), _sealed, **SOME),
    RESEAL,
    Scenario("bundle-apply", ("bundle", "apply", "all.bundle"), _bundled, **SOME),
)
