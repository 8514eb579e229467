"""Measured against peers on one machine in one run; never a gate."""
