"""What the studio says, in each member's language: English is the source, other languages are catalogs (`*.po`)."""
