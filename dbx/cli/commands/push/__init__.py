"""Hand our commits over to a remote, fast-forward only."""

DEFAULT = "_push"
