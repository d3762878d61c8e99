"""Any data set of pairs, as the audit takes it in: its files cut into chunks, and their rows as pairs."""
