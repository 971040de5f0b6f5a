"""What outlives a restart: SQLite, in a thread of its own."""
