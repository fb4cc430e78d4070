"""What an answer that is no success means: HTTP status and problem JSON → our errors. Pure.

Errors of the connection itself are translated where they occur, in `replicate`.
"""

import re
from collections.abc import Mapping
from typing import Final

from portraitist.studio.provider import wire
from portraitist.studio.provider.port import (
    JSON,
    ProviderError,
    ProviderNoCredit,
    ProviderNotFound,
    ProviderRateLimited,
    ProviderRefused,
    ProviderUnauthorized,
    ProviderUnavailable,
)

LONGEST_RETRY_AFTER_S: Final = 300.0
"""No provider makes us wait longer than this at a time: its word is a hint, and may be wrong."""
USUAL_RETRY_AFTER_S: Final = 10.0
"""When a provider asks for patience and doesn't say how much."""

_DETAIL_CHARS = 500
_RESETS_IN = re.compile(r"~\s*(\d{1,6}(?:\.\d+)?)\s*s", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(?:\.\d+)?", re.ASCII)


def problem(status: int, headers: Mapping[str, str], content: bytes) -> ProviderError | None:
    """The error that an answer stands for; None for a success (2xx). Header names are lower-case."""
    if 200 <= status < 300:
        return None
    body = _body(content)
    detail = f"HTTP {status}: {_detail(body)}"
    if status == 429:
        return ProviderRateLimited(detail, retry_after_s=_retry_after(headers, body))
    if status >= 500 or status < 200:
        return ProviderUnavailable(detail, sent=True)
    return _REFUSALS.get(status, ProviderRefused)(detail, http_status=status)


_REFUSALS: Final[Mapping[int, type[ProviderRefused]]] = {
    401: ProviderUnauthorized,
    402: ProviderNoCredit,
    403: ProviderUnauthorized,
    404: ProviderNotFound,
}


def _retry_after(headers: Mapping[str, str], body: Mapping[str, JSON]) -> float:
    """Seconds from the header, else from `retry_after`, else from "~30s" in the text; capped."""
    detail = body.get("detail")
    in_text = _RESETS_IN.search(detail) if isinstance(detail, str) else None
    told = [headers.get("retry-after", ""), str(body.get("retry_after", "")), in_text[1] if in_text else ""]
    seconds = (float(text) for text in told if _SECONDS.fullmatch(text.strip()))
    return min(next(seconds, USUAL_RETRY_AFTER_S), LONGEST_RETRY_AFTER_S)


def _body(content: bytes) -> Mapping[str, JSON]:
    try:
        return wire.mapping(wire.decode(content))
    except wire.MalformedAnswer:  # HTML of a proxy, or nothing
        return {}


def _detail(body: Mapping[str, JSON]) -> str:
    texts = [body.get("title"), body.get("detail")]
    said = ": ".join(" ".join(text.split()) for text in texts if isinstance(text, str) and text.strip())
    return said[:_DETAIL_CHARS] or "no explanation given"
