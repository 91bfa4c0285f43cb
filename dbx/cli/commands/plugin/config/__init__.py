"""Configure a plugin, or change its configuration: http, tcp, log or process."""

DEFAULT = "_kind"
