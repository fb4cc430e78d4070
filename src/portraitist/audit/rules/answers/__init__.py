"""What becomes of a row for each answer that the provider can give, followed through the program."""
