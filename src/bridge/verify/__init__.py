"""Proof for whoever signs: what the meters hold, what the bridge holds and what each server shows, side by side."""
