"""What `--publish` says about an event: which plugins get it, how, and how urgently.

It is written to queue.db before the commit, durably, under the hash of each event. If the commit then does not happen,
no event has that hash, because its salt was drawn for it; if it does, whoever delivers finds it, however the process
ended. The event itself says nothing of it: other copies of the domain have plugins of their own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from dbx.crypto.merkle import leaf_hash
from dbx.errors import Invalid
from dbx.formats.envelope import decode_envelope
from dbx.model.names import quote
from dbx.model.plugin import Publish, find_plugin, parse_publish
from dbx.repo.delivery.jobs import opened_queue
from dbx.repo.delivery.plugins import read_plugins, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dbx.repo.domain import Domain
    from dbx.repo.repository import Repository
    from dbx.repo.transaction import Committed


def check_targets(repository: Repository, texts: Sequence[str]) -> list[Publish]:
    """The targets that `--publish` names, with the plugins' own spelling; of one named twice the first counts.

    Raises Invalid for what is misspelled, and for a plugin that is unknown, disabled or gets no events.
    """
    plugins = read_plugins(repository)
    found: dict[str, Publish] = {}
    for text in texts:
        target = parse_publish(text)
        plugin = find_plugin(plugins, target.plugin)
        if plugin is None:
            error = unknown(target.plugin, plugins)
            raise Invalid(error.message, hint=error.hint, details=error.details)
        if not plugin.gets_events:
            why = "is disabled" if not plugin.enabled else "gets no events"
            raise Invalid(f"plugin {quote(plugin.name)} {why}", hint="nothing was written")
        found.setdefault(plugin.name, target._replace(plugin=plugin.name))
    return list(found.values())


def recorder(domain: Domain, targets: Sequence[Publish]) -> Callable[[Committed], None]:
    """What writes the targets down for the events of a commit that is about to be written."""

    def record(committed: Committed) -> None:
        text = json.dumps([list(target) for target in targets])
        urgent = int(any(target.priority == "high" for target in targets))
        now = domain.clock() // 1000
        with opened_queue(domain, durable=True) as queue, queue.write():
            for n, line in enumerate(committed.envelopes):
                event_id = decode_envelope(line).event_id
                queue.put_publish(leaf_hash(line), event_id, committed.commit.position + n, text, urgent, now)

    return record
