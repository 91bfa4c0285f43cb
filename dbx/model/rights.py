"""What each command asks of a token: an action, and on what. One table; a command that is not in it is denied.

FREE: nothing, it touches no repository, or only says what a token is.
WORKSPACE: the action, whatever the domain.
DOMAIN: the action in the domain; what is written is checked event by event, and what is shown tells of no aggregate.
ROWS: the same, on the aggregate that is named; where none is, only what the token may see is shown.
SUBJECT: the action on the aggregate that is named; where none is, on all.
WHOLE: the action in the domain, on all aggregates: what is shown cannot be cut to what a token may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

FREE = "free"
WORKSPACE = "workspace"
DOMAIN = "domain"
ROWS = "rows"
SUBJECT = "subject"
WHOLE = "whole"
SCOPES = (FREE, WORKSPACE, DOMAIN, ROWS, SUBJECT, WHOLE)

ANY = ""
"""Any token that is good will do; what changes something asks for more once it is known that it does."""


class Right(NamedTuple):
    """The action that a command asks for (ANY for none in particular), and its scope."""

    action: str
    scope: str


def _rights(scope: str, action: str, *commands: str) -> dict[str, Right]:
    return dict.fromkeys(commands, Right(action, scope))


COMMANDS: Mapping[str, Right] = {
    **_rights(FREE, ANY, "completion", "help", "init", "version", "verify_proof", "bundle.verify", "attest.verify"),
    **_rights(FREE, ANY, "checkpoint.verify", "checkpoint.timestamp", "token.check", "token.show"),
    # Events.
    **_rights(ROWS, "aggregate.append", "aggregate.apply"),
    **_rights(ROWS, "aggregate.create", "aggregate.create"),
    # What is imported keeps who issued it.
    **_rights(WHOLE, "admin.domain", "import.cloudevents", "import.eventdbx"),
    **_rights(SUBJECT, "aggregate.append", "aggregate.patch", "aggregate.remove", "aggregate.migrate"),
    **_rights(SUBJECT, "aggregate.append", "aggregate.snapshot", "snapshots.create"),
    **_rights(SUBJECT, "aggregate.archive", "aggregate.archive", "aggregate.restore"),
    **_rights(DOMAIN, "aggregate.append", "aggregate.clear", "aggregate.commit"),
    **_rights(ROWS, "aggregate.read", "aggregate.list", "events"),
    **_rights(SUBJECT, "aggregate.read", "aggregate.get", "aggregate.select", "aggregate.verify", "aggregate.export"),
    **_rights(SUBJECT, "aggregate.read", "blame", "bisect", "snapshots.list", "snapshots.verify"),
    **_rights(WHOLE, "aggregate.read", "aggregate.referrers", "staged", "log", "show", "diff", "lint", "fsck"),
    **_rights(WHOLE, "aggregate.read", "root.export", "snapshots.get"),
    **_rights(WHOLE, "aggregate.read", "prove.absent", "prove.aggregate", "prove.consistency", "prove.event"),
    **_rights(DOMAIN, "aggregate.read", "reflog", "root._show"),
    # Schemas.
    **_rights(DOMAIN, "schema.read", "schema._show", "schema.show", "schema.list", "schema.history", "schema.diff"),
    **_rights(DOMAIN, "schema.read", "schema.lint", "schema.export", "schema.validate", "schema.status"),
    **_rights(DOMAIN, "schema.write", "schema.create", "schema.add", "schema.remove", "schema.annotate"),
    **_rights(DOMAIN, "schema.write", "schema.field", "schema.alter", "schema.hide", "schema.lock", "schema.edit"),
    **_rights(DOMAIN, "schema.write", "schema.publish", "schema.activate", "schema.rollback", "schema.import"),
    # Other repositories.
    **_rights(WHOLE, "domain.pull", "bundle.create", "evidence.export", "export.tiles"),
    **_rights(DOMAIN, "domain.pull", "fetch", "pull._pull", "checkpoint._make", "attest.list"),
    **_rights(DOMAIN, "schema.write", "pull.schema"),
    **_rights(SUBJECT, "domain.push", "push._push"),
    **_rights(DOMAIN, "domain.push", "push.schema"),
    **_rights(WHOLE, "domain.push", "bundle.apply"),
    **_rights(DOMAIN, ANY, "remote.check", "remote.list", "remote.show"),
    **_rights(DOMAIN, "admin.config", "remote.add", "remote.remove", "remote.set_url"),
    **_rights(WORKSPACE, ANY, "serve"),
    **_rights(DOMAIN, "admin.config", "watch", "watch._watch", "watch._run", "watch._start", "watch.stop"),
    **_rights(DOMAIN, ANY, "watch.status"),
    # The domain and the workspace.
    **_rights(DOMAIN, ANY, "status", "config", "restrict", "tag", "domain.show"),
    **_rights(WORKSPACE, ANY, "domain.list"),
    **_rights(DOMAIN, "admin.domain", "gc", "reindex", "undo", "snapshots.prune"),
    **_rights(WORKSPACE, "admin.domain", "checkout", "clone", "merge", "domain.rename", "backup", "restore"),
    **_rights(SUBJECT, "admin.domain", "aggregate.redact", "aggregate.forget"),
    **_rights(WHOLE, "admin.domain", "forget"),
    # Keys and tokens.
    **_rights(WORKSPACE, ANY, "key.list", "token.refresh", "token.revoke", "token.bootstrap"),
    **_rights(WORKSPACE, "admin.key", "key.distrust", "key.export", "key.generate", "key.import", "key.rotate"),
    **_rights(WORKSPACE, "admin.key", "key.trust", "witness.sign", "audit_log.checkpoint"),
    **_rights(WORKSPACE, "admin.key", "keyring.export", "keyring.import", "keyring.list", "keyring.show"),
    **_rights(WHOLE, "admin.key", "attest._make"),
    **_rights(WORKSPACE, "admin.token", "token.generate", "token.list"),
    **_rights(WORKSPACE, "admin.config", "audit_log._show"),
    # Plugins and their queue.
    **_rights(DOMAIN, "admin.config", "plugin.config.tcp", "plugin.config.http", "plugin.config.log"),
    **_rights(DOMAIN, "admin.config", "plugin.config.process", "plugin.enable", "plugin.disable", "plugin.remove"),
    **_rights(DOMAIN, "admin.config", "plugin.test", "plugin.run", "plugin.replay", "queue.retry", "queue.clear"),
    **_rights(DOMAIN, "admin.config", "queue.clear_done", "queue.run", "queue._show", "plugin.config._kind"),
    **_rights(DOMAIN, ANY, "plugin.list", "plugin.status"),
}
"""Command (its file below cli/commands, with dots) -> the right."""


def right_of(command: str) -> Right | None:
    """What a command asks for; None for one that the table does not know."""
    return COMMANDS.get(command)


def action_of(event_type: str, version: int) -> str:
    """The action that appending an event is."""
    if event_type in ("aggregate_archived", "aggregate_restored"):
        return "aggregate.archive"
    if event_type == "body_erased":
        return "admin.domain"
    return "aggregate.create" if version == 1 else "aggregate.append"


def resource_of(aggregate_type: str, aggregate_id: str) -> str:
    """How a token names an aggregate."""
    return f"aggregate:{aggregate_type}:{aggregate_id}"
