"""Vector engines: one package each, found through the entry points `regalia.providers`."""
