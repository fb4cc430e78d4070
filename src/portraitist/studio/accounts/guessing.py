"""How guessing passwords is slowed down: by account and by source, without telling whether an account is there.

Pure: the keys that are counted, and the delay after so many failures in a row. A one-time link and sessions that
are open pass these delays by, so that nobody can lock a member out for good.
"""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(days=2)


@dataclass(frozen=True)
class Rule:
    """So many tries in a row are free; after `most` (None: never) only a one-time link opens the account."""

    free: int
    most: int | None


ACCOUNT = Rule(free=5, most=100)
SOURCE = Rule(free=20, most=None)
MAIL = Rule(free=3, most=None)
"""Letters that anybody may ask for, to one address or from one source."""
MAILS = "mail "  # before a key: letters are counted apart from sign-ins


@dataclass(frozen=True)
class Tries:
    """What is known of one key."""

    failures: int
    blocked_until: datetime


def account_key(email: str, secret: str) -> str:
    """The key that counts tries at an account, there or not."""
    return "account " + _digest(email, secret)


def source_key(address: str, secret: str) -> str:
    """The key that counts tries from one place: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "source " + _digest(address, secret)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return "source " + _digest(str(ip.ipv4_mapped), secret)
        return "source " + _digest(str(ipaddress.ip_network((ip, 64), strict=False)), secret)
    return "source " + _digest(str(ip), secret)


def _digest(value: str, secret: str) -> str:
    return hmac.new(secret.encode(), value.encode(), hashlib.sha256).hexdigest()


def delay_after(failures: int, rule: Rule) -> timedelta:
    """The pause after so many failures in a row: none at first, then one second, doubled each time, an hour at most."""
    over = failures - rule.free
    if over < 0:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(over, 20)), LONGEST)


def wait(known: Tries | None, rule: Rule, now: datetime) -> timedelta:
    """How long the next try has to wait; zero where it may be made now."""
    if known is None:
        return timedelta(0)
    if rule.most is not None and known.failures >= rule.most:
        return FORGOTTEN_AFTER
    return max(known.blocked_until - now, timedelta(0))


def counted(known: Tries | None, rule: Rule, now: datetime) -> Tries:
    """What is known once a try has been let through: it counts as failed until it turns out well."""
    failures = (known.failures if known else 0) + 1
    return Tries(failures, now + delay_after(failures, rule))
