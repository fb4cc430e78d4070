"""Security tests work on a migrated studio database."""

from tests.studio_database import studio_database

__all__ = ["studio_database"]
