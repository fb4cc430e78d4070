"""One thin file for each group of commands: arguments and help. The work itself is done elsewhere."""
