"""Credits around a paid call. The rule `credit-before-check`."""
