"""How models, trainings and their columns are kept.

The rules `clears-working-model`, `id-overloaded`, `column-mismatch`, `schema-drift`, `shared-mutable-default`.
"""
