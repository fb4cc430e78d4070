"""Live news for members: something of theirs has moved on."""
