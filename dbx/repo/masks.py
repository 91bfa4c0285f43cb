"""Working without the key: envelopes can be read, bodies cannot, so that states are unknown.

A reader without the key keeps an index that lags in memory instead of bringing it forward, so that whoever has the key
finds it as it was. What is received without the key is taken into index.db without its states; who opens that with the
key makes it anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbx.store.sealedrows import MASKED

if TYPE_CHECKING:
    from dbx.crypto.vault import Vault
    from dbx.store.index import Index


class StaleIndex(Exception):  # noqa: N818 - not an error: the index follows another history and must be rebuilt
    """The index holds commits of a history that is not this log's, or lacks what it should know."""


class SealedAway(Exception):  # noqa: N818 - not an error: the index is kept in memory instead
    """Bodies are sealed, their key is not there, and the index is to know their states."""


def may_mask(index: Index) -> bool:
    """Whether an index may do without states."""
    return index.path == ":memory:" or bool(index.get_meta(MASKED))


def check_masks(index: Index, vault: Vault) -> None:
    """Raises StaleIndex where an index does without states that could be known."""
    if index.path != ":memory:" and not vault.is_locked and index.get_meta(MASKED):
        raise StaleIndex
