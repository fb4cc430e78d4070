"""Every router of the admin's pages, for the app."""

from portraitist.studio.web.admin_pages import configuration, events, health, members, oversight, usage, work

ALL = (
    work.router,
    members.router,
    usage.router,
    health.router,
    configuration.router,
    oversight.router,
    events.router,
)
