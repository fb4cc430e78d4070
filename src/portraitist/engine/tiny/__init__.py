"""The embedded engine's model: a tiny FLUX made by our own recipe, trained whole for each member on a CPU.

Words, procedural portraits, the autoencoder, the base recipe, member training and sampling live here. Nothing of
HTTP, jobs or stores does. Importing this package is free: torch is loaded by the modules that compute.
"""
