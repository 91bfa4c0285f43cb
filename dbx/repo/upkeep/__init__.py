"""Keeping a domain and a workspace in good order.

gc         sealing, merging, dropping              reindex    index.db anew from the log
backup     a workspace as one file                 restore    and back
fork       a domain that begins with another's     reseal     everything under today's data key
redact     a body is removed for good              purge      from every file
snapshots  taken, listed, compared, removed        survey     where a domain stands, and how large it is
lint       what lint judges
"""
