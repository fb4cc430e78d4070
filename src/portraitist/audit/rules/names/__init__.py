"""Names that nothing defines, not yet, or not in that class. The rule `undefined-name`."""
