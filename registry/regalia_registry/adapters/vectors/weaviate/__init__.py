"""Weaviate: REST for schema, aliases and shards, its gRPC messages for rows. Needs the extra `[weaviate]`."""
