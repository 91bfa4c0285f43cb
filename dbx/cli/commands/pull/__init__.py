"""Bring what a remote has into our history.

Fast-forward, or our own commits anew on top of the remote's, where no aggregate was advanced on both sides.
"""

DEFAULT = "_pull"
