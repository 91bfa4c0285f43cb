"""Exchange a domain with a remote again and again, and at once when something is committed here.

Without a mode: pull, then push. One watcher of a domain runs at a time.
"""

DEFAULT = "_watch"
