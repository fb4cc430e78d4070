"""Who is asking: members, their tokens and consents."""
