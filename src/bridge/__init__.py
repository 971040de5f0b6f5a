"""Meter truth between protocols: one point table, many faces."""
