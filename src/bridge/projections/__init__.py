"""One folder, one protocol: mapping.py for the core, server.py for its own process."""
