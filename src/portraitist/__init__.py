"""Portraitist: an AI photo studio that anyone can host.

The parts live beside each other and meet only over HTTP: `studio` (the product), `engine` (a server with
Replicate's API that trains and samples), `audit` (a read-only auditor) and `kit` (what servers need).
"""

__version__ = "0.1.0"
