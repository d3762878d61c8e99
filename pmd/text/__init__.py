"""Texts and URLs, a column at a time: cleaning, canonical URLs and identities, language, near-duplicates."""
