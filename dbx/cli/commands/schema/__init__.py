"""Declare what events may hold, and publish it: schemas in YAML.

'dbx schema TYPE' shows a schema. A schema is the file schemas/TYPE.yaml of its domain; it may be edited by hand.
"""

DEFAULT = "_show"
