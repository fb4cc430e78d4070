"""Trainings: from accepted selfies to a verified, promoted version of the member's own model."""
