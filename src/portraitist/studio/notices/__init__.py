"""Notices: what a member is told without having asked, in the app, by mail and by Web Push."""
