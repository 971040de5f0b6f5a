"""Long proofs under load; `make soak`."""
