"""The photoshoot's pages: collections and looks to choose from, and sets as they are shot."""

from portraitist.studio.web.photoshoot.choosing import router as choosing
from portraitist.studio.web.photoshoot.sheets import router as sheets

ALL = (choosing, sheets)
