"""Ways in that ask nobody: routes, callers who are believed, what the database leaves open. The rule `missing-auth`."""
