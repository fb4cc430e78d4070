"""Failures that nobody hears of: what the rule `fallback-swallow` looks for."""
