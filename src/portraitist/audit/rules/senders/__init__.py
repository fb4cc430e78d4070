"""Whose word is taken for the provider's. The rules on webhooks."""
