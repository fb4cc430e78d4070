"""The auditor: a read-only, deterministic reader of repositories that train and generate through Replicate.

It parses source text, links it, derives facts, judges them by rules and prints one report. It never
imports, configures or runs the code it reads, and it knows nothing of the studio or the engine.
"""
