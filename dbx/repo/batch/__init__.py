"""Batches: events are staged now, and become history later, all at once.

staging      the staging area: lines in, checked, encoded and hashed
stagedhalf   the staged half of the index, in step with staging.jsonl
bulk  half   a large file, cut in two, and its second half in a process of its own
commit       what is staged becomes one commit
"""
