"""What belongs to others and is changed, read or run by whoever names it. The rule `idor`."""
