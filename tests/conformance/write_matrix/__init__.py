"""Attempts to write, one file per protocol (BARS S1)."""
