"""What the demo publishes, opened by those whom it is for: each by the line that the card gives. Run by `make test-consumers`."""
