"""The `portraitist` command: it reads arguments, talks to the studio's API and starts the parts.

No rule of the studio lives here: `shoot`, `train` and `generate` are clients of `/api/v1` like any other.
"""
