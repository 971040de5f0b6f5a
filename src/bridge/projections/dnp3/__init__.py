"""Projection DNP3: our own outstation (IEEE 1815 level 2 and what meters need)."""
