"""Dedupe: which images are one by their bytes or nearly so, which captions stand on too many, what is held out."""
