"""Publish: the URL lists, a source each, with what may be handed out."""
