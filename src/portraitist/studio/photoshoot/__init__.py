"""The AI Photoshoot: looks as data, and sets of them shot as ordinary generations of the member's own model."""
