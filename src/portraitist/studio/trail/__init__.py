"""Audit events: what was done that matters for security; appended, chained, and checked."""
