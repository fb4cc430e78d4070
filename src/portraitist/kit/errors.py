"""The kit's errors: one tree, so that a caller can tell "a part I stand on failed" from its own mistakes.

Errors of one module live beside it; here are the root and what several modules raise.
"""


class KitError(Exception):
    """A part of the ground failed. The text is one sentence that an operator can act on."""


class DatabaseUnavailable(KitError):
    """The database can't be reached or broke off; what was in the transaction is rolled back. Try again."""
