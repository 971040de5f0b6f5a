"""OPC UA: every meter an object, every point a variable with unit, state texts, quality and source time."""
