"""What a person at a terminal sees: tables, output, and how a command ends."""
