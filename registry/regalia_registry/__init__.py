"""The service of Regalia: everything that stays on the registry's side."""
