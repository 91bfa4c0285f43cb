"""Take snapshots of aggregates, look at them, compare them with the events, remove them.

A snapshot is the state of an aggregate at one version. Reading at an older version begins with the nearest one.
"""
