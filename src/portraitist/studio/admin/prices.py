"""What the provider's work costs, where the operator has said so. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """In `currency`: per second of training, per second of drawing, per picture. None: not configured."""

    currency: str
    per_training_second: float | None = None
    per_picture_second: float | None = None
    per_picture: float | None = None

    @property
    def known(self) -> bool:
        """Whether anything has a price."""
        return any(
            price is not None
            for price in (self.per_training_second, self.per_picture_second, self.per_picture)
        )

    def of(self, training_seconds: float, drawing_seconds: float, pictures: int) -> float | None:
        """What so much has cost; None where nothing has a price."""
        if not self.known:
            return None
        return (
            training_seconds * (self.per_training_second or 0)
            + drawing_seconds * (self.per_picture_second or 0)
            + pictures * (self.per_picture or 0)
        )
