"""What both servers need and no noun of either: database, jobs, objects, HTTP, processes, logs, clock.

The kit imports nothing of studio, engine or audit, and knows no table, no member and no picture.
"""
