"""The one border to whoever makes the pictures: an HTTP server with Replicate's API.

`port` is what the studio needs, `wire` turns JSON into types, `replicate` is the adapter.
"""
