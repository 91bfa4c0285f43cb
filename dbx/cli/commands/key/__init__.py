"""Make, list, rotate and exchange keys.

A workspace signs checkpoints and tokens with its own key, and believes what trusted keys of others sign.
"""
