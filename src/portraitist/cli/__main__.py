"""`python -m portraitist.cli`: how the parts are started, independent of where the script was installed."""

from portraitist.cli.main import run

if __name__ == "__main__":
    run()
