"""The studio: members, selfies, trainings, generations, pictures.

It makes pictures only through a provider with Replicate's HTTP API and imports nothing of the engine.
"""
