"""List the data keys that seal a workspace, and share them with another one.

Workspaces that share a keyring can exchange sealed segments as they are.
"""
