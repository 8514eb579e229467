"""Twins of the real adapters, in memory: for tests, and for trying a rule out."""
