"""Show the audit trail: who changed tokens, keys, settings, remotes and refs.

With a number only the newest lines; with --verify the trail is compared with its Merkle tree.
"""

DEFAULT = "_show"
