"""Curate: what the sources read becomes pairs, or rejected rows with a reason. Each source by itself."""
