"""An admin's rules for accounts: who may be changed how. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from portraitist.studio.accounts.domain import LinkKind, Role
from portraitist.studio.errors import Conflict


@dataclass(frozen=True)
class Account:
    """An account as an admin sees it."""

    id: str
    email: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None

    def changed(
        self, role: Role | None, disabled: bool | None, admins: list[str], now: datetime
    ) -> "Account":
        """With another role or state. Raises Conflict where nobody would be left to look after the studio."""
        disabled_at = self.disabled_at
        if disabled is not None:
            disabled_at = (self.disabled_at or now) if disabled else None
        after = replace(self, role=role or self.role, disabled_at=disabled_at)
        stays = after.role == "admin" and after.disabled_at is None
        if admins == [self.id] and not stays:
            raise Conflict(
                "last_admin",
                "This is the only admin who can sign in.",
                next_step="Make another member an admin first.",
            )
        return after


@dataclass(frozen=True)
class Link:
    """A one-time link as it is remembered; its secret is known to its holder only."""

    id: UUID
    kind: LinkKind
    user_id: str | None
    email: str | None
    role: Role
    created_at: datetime
    expires_at: datetime
