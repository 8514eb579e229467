"""The one place where adapters are built and handed to the services: a module a kind of process."""
