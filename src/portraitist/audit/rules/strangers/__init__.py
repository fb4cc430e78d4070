"""A stranger's way through a handler and its guards: what such a caller, and settings nobody made, can choose."""
