"""The member's account as pages: who they are, what they sign in with, their tokens, their data, what was recorded.

Every change is the accounts', the privacy's or the trail's; what needs a fresh sign-in there needs one here.
"""
