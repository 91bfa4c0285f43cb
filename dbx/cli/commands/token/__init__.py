"""Issue tokens, list, explain, check, revoke and refresh them.

A token says who its holder is and what the holder may do. 'dbx serve' always asks for one once there are any.
"""
