"""Everything below the store: channels, lines, masters, pollers."""
