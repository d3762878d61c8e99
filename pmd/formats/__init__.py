"""Reading primitives that every source shares: bytes, lines, JSON, tab-separated text and SQLite, without rules of any source."""
