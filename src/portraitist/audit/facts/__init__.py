"""Collectors: each reads the linked program and adds facts of a few kinds. No judgement here."""
