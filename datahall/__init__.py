"""Datahall: build an AI data center on your laptop."""

__version__ = "2026.1"
