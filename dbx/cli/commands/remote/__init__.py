"""Name other repositories that this domain exchanges its history with.

'dbx clone' sets the remote 'origin'; fetch, pull and push use it when none is named.
"""
