"""Every router of the account's pages, for the app."""

from portraitist.studio.web.account import activity, overview, proving, receipts, signing_in, tokens, yours

ALL = (
    overview.router,
    signing_in.router,
    tokens.router,
    yours.router,
    activity.router,
    proving.router,
    receipts.router,
)
