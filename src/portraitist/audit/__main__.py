"""`python -m portraitist.audit PATH`."""

from portraitist.audit.cli import app

if __name__ == "__main__":
    app()
