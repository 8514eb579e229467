"""Running the registry: processes, not requests."""
