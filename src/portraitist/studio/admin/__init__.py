"""The operator's view: what runs, what waits, what is away. Never a look at members' faces."""
