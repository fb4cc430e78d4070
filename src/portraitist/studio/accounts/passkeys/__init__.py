"""Passkeys and recovery codes: what a member has beside, or instead of, a password."""
