"""What texts say: their words, the terms of every list that stand in them, and personal data."""
