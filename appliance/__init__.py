"""Dash: a log, and everything derived from it."""

__version__ = "0.1.0"
