"""The engine: a server that speaks Replicate's HTTP API and really trains and samples FLUX models.

It knows nothing of the studio: no member, no selfie, no gallery. What it knows is models, versions, runs
(trainings and predictions), files and webhooks. Nothing here imports torch but the children and `tiny`.
"""
