"""Secrets that a browser is given, that are sent away, and that are committed."""
