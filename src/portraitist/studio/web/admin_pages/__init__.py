"""The admin's pages: work that needs a look, members, usage, health, settings, holds and looks, audit events. No faces.

They call the same services as `/api/v1/admin`; who may do what is decided there and in `visiting`.
"""
