"""How members are called in logs: by a pseudonym that leads to nobody once the account is erased.

Where ids of members stand inside texts is `architecture`'s (models, trigger words) and the storage keys' shape.
"""

import re

from portraitist.kit.homes import Home
from portraitist.kit.logging import Pseudonyms

NAMED_WITH = "log-names"
FIELDS = frozenset({"user_id"})
_PLACES = re.compile(
    r"(?<=members/)[a-z0-9]{12}(?![a-z0-9])"  # keys in the storage
    r"|(?<![a-z0-9])[a-z0-9]{12}(?=-selfie-lora)"  # the member's model at the provider
    r"|(?<=user)[a-z0-9]{12}(?![a-z0-9])"  # the trigger word
    r"|(?<=user_id=)[a-z0-9]{12}(?![a-z0-9])"
)


def pseudonyms_of(home: Home) -> Pseudonyms:
    """For the logs of this installation; parts on several machines share names where they share the secret."""
    return Pseudonyms(home.secret(NAMED_WITH).encode(), FIELDS, _PLACES)
