"""Processes that the worker starts: one per training, one that stays for predictions, one that measures.

They import torch; they have no database, no storage and no network. They talk to the worker in JSON lines
over their standard streams (`channel`) and end when it does.
"""
