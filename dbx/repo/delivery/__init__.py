"""Events on their way to plugins. The log is the queue; what is kept beside it is how far each plugin came.

plugins      plugins.yaml                            publishes    what `--publish` says about an event
feed         one plugin's way along the log          ledger       its cursor, and what has become of its deliveries
deliveries   positions of the log to what is sent    jobs         the queue as people see it
redelivery   what a replay sends, and its bookmark
"""
