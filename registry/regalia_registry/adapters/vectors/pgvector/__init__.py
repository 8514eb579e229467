"""PostgreSQL with pgvector, embedded or external. Needs the extra `[pgvector]`."""
