"""Generations: three pictures from a member's words, with the member's own model and locked parameters."""
