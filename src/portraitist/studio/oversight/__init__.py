"""An operator's exceptional acts on a member: a legal hold, and an admin's break-glass that the member sees."""
