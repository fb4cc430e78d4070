"""What a stored picture is. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Image:
    """One row of `ai_images`: a picture file that we hold."""

    user_id: str
    id: UUID
    generation_id: UUID
    index: int
    object_key: str
    sha256: bytes
    width: int
    height: int
    bytes: int
    saved: bool
    created_at: datetime
