"""Schemas: the files that people edit, and the versions that were published. What they ask of a write: `repo.rules`.

schemas     working files                           publishing     a working file becomes a version
published   content-addressed versions              schemachain    versions as they travel
schemalint  against each other, and what is stored  schemahistory  many events against the files
referrers   who refers to an aggregate
"""
