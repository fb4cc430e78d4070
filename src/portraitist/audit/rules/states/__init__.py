"""States that stay open, and progress that is not the work's. The rules `stuck-status` and `time-progress`."""
