"""Maya's pages: the conversation with its cards and pictures, and what she knows of a member."""

from portraitist.studio.web.maya import knowing, talking

ALL = (talking.router, knowing.router)
