"""Training that counts as done without what it made. The rule `no-retry`."""
