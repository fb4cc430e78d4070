"""A member's selfies: what photos may be trained on, and why a photo is turned away.

Opening a stranger's file happens in a process of its own; nothing here trains or draws.
"""
