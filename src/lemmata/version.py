"""The version of lemmata, in one place: read by the build, the command line and every record."""

__version__ = "0.1.0"
