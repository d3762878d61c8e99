"""What a person at a terminal sees: output, and how a command ends."""
