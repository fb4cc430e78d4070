"""What an admin may change: read by everybody, changed by an admin, overridden and locked by the environment."""

from collections.abc import Mapping
from datetime import datetime

from portraitist.kit.logging import logger
from portraitist.studio.config import StudioSettings
from portraitist.studio.db import RegistrarTx, Tx
from portraitist.studio.errors import Conflict, NotFound, Unprocessable
from portraitist.studio.settings import domain, repository
from portraitist.studio.settings.domain import CHOICES, Setting, SignUp
from portraitist.studio.trail import service as trail
from portraitist.studio.trail.domain import Action

log = logger(__name__)


def overrides(settings: StudioSettings) -> Mapping[str, str]:
    """What the environment has decided."""
    given = {domain.SIGN_UP: settings.sign_up}
    return {key: value for key, value in given.items() if value is not None}


async def all_settings(tx: Tx, settings: StudioSettings) -> list[Setting]:
    """Each setting with the value that holds."""
    stored, given = await repository.stored(tx), overrides(settings)
    return [domain.effective(choice, stored, given) for choice in CHOICES.values()]


async def sign_up(tx: Tx, settings: StudioSettings) -> SignUp:
    """Who may make an account."""
    stored = await repository.stored(tx)
    return domain.sign_up(domain.effective(CHOICES[domain.SIGN_UP], stored, overrides(settings)))


async def change(tx: RegistrarTx, settings: StudioSettings, key: str, value: str, now: datetime) -> Setting:
    """Change a setting. Raises NotFound, Unprocessable, or Conflict where the environment has decided it."""
    choice = CHOICES.get(key)
    if choice is None:
        raise NotFound("setting_not_found", "There is no such setting.")
    if value not in choice.values:
        raise Unprocessable("setting_invalid", f"{key} is one of: {', '.join(choice.values)}.")
    if key in overrides(settings):
        raise Conflict(
            "setting_locked",
            f"{choice.variable} in the environment decides this.",
            next_step=f"Take {choice.variable} out of the environment and start the studio again.",
        )
    await repository.store(tx, key, value, now)
    await trail.note_about(tx, None, Action.SETTING_CHANGED, key=key, value=value)
    log.info("settings.changed", key=key, value=value)
    return domain.effective(choice, {key: value}, {})
