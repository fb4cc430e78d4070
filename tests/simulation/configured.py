"""How the simulated studio is configured: its provider accounts and its settings."""

from functools import cache
from pathlib import Path

from portraitist.studio.config import StudioSettings
from tests.simulation.rates import CREATES_PER_MINUTE, OTHERS_PER_MINUTE

CLOUD = "http://cloud.invalid"
ACCOUNTS = (("engine", "studio"), ("second", "studio-two"))
"""Our provider accounts, and their names there."""


@cache
def settings(webhooks: bool = False, rates: bool = False) -> StudioSettings:
    """Looks every 30 seconds, lists that may lag a minute; whatever the environment says."""
    creates, others = (CREATES_PER_MINUTE, OTHERS_PER_MINUTE) if rates else (None, None)
    return StudioSettings(
        portraitist_home=Path("/nowhere"),
        database_url="postgresql://simulated",
        replicate_base_url=CLOUD,
        replicate_api_token="r8_token",
        replicate_username="studio",
        instance_token="instance",
        secret_key="secret",
        poll_seconds=30,
        list_lag_seconds=60,
        webhooks_url="https://studio.invalid" if webhooks else "off",
        provider_creates_per_minute=creates,
        provider_others_per_minute=others,
    )
