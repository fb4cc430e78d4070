"""Signing in with the operator's OpenID Connect provider, and which of its people a member is."""
