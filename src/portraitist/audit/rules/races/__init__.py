"""Two requests at once: rows that are tested as they were read, and written without asking if they still are so."""
