"""The provider says that a run has moved: verified, stored once, and the row is woken. Never a result."""
