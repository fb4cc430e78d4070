"""Whether a change comes from our own pages: the defence against requests that another site makes a browser send.

Pure. Browsers send Sec-Fetch-Site, or at least Origin, with every change; a program sends neither and has no
cookies that somebody else could use.
"""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from portraitist.studio.accounts.domain import SAFE_METHODS, csrf_token

CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"


def is_foreign(method: str, headers: Mapping[str, str], public_url: str) -> bool:
    """Whether a browser says that another site has made it send this change."""
    if method in SAFE_METHODS:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return True
    origin = headers.get("origin")
    return origin is not None and not _ours(origin, headers.get("host", ""), public_url)


def _ours(origin: str, host: str, public_url: str) -> bool:
    here = urlsplit(origin)
    if public_url:
        ours = urlsplit(public_url)
        return (here.scheme, here.netloc) == (ours.scheme, ours.netloc)
    return here.scheme == "http" and here.netloc == host


def lacks_token(method: str, headers: Mapping[str, str], session_secret: str, field: str = "") -> bool:
    """Whether a change by cookie comes without the token that only our own pages can know.

    It comes as a header, or as a `field` of a plain form.
    """
    given = headers.get(CSRF_HEADER.lower()) or field
    return method not in SAFE_METHODS and not hmac.compare_digest(
        given.encode(), csrf_token(session_secret).encode()
    )
