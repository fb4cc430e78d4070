"""The address that a provider is given to wake us at: account, kind and the row's own random token. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Callbacks:
    """Addresses below `base`; None where the outside does not reach us, and no webhook is asked for."""

    base: str | None = None

    def url(self, account_id: str, kind: str, token: str | None) -> str | None:
        """Where a webhook about this row goes."""
        if self.base is None or token is None:
            return None
        return f"{self.base.rstrip('/')}/webhooks/replicate/{account_id}/{kind}/{token}"
