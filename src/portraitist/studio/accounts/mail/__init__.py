"""Mail to members: links to their own mailbox, and word of what was done with their account."""
