"""Source text to syntax: one converter per language, and readers for the files that are not code."""
