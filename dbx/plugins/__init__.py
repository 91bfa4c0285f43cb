"""Where events go: one file per kind of plugin. Plugins get deliveries, never the repository."""
