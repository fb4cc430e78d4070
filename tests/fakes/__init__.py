"""Stand-ins for what is outside of us. They live in tests only."""
