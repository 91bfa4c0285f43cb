"""Configure plugins, which get events, and run them.

What is committed waits in the log until 'dbx plugin run' delivers it: commits never wait for plugins.
"""
