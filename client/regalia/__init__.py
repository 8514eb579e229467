"""The SDK of Regalia."""

__version__ = "0.1.0"
