"""Text in, validated frozen structs out; every mistake with file, line and column."""
