"""A browser's own long name in a few words, so that a member knows their devices apart. Pure; a guess, and no more."""

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
"""What stands in a name, and whose it is; the first that fits, since most claim to be several."""
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
LONGEST = 60


def browser_of(label: str) -> str:
    """Which browser; else the beginning of what it calls itself."""
    return next((name for mark, name in BROWSERS if mark in label), label[:LONGEST])


def system_of(label: str) -> str:
    """On what it runs; empty where it does not say."""
    return next((name for mark, name in SYSTEMS if mark in label), "")
