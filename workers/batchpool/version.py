"""The version of all three packages. A namespace package has no module of its own to hold it."""

__version__ = "0.2.0"
