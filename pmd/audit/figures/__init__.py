"""From sums to figures: the content of audit.json, and the same as tables."""
