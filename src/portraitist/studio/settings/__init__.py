"""What an admin may change while the studio runs; the environment overrides it and locks it."""
