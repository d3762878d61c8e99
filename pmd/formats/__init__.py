"""Reading primitives that every source shares: bytes, lines, JSON, tab-separated text, SQLite; no source's rules."""
