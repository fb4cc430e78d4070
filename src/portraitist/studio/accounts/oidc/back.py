"""What a provider has sent a browser back with. A type only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Back:
    """Code, state and issuer as they stood in the address, and the secret of the browser that brings them."""

    code: str
    state: str
    issuer: str | None
    secret: str
