"""Cosign what another office signs, and only growth that is consistent with what was seen before."""
