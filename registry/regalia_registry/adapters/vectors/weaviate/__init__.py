"""Weaviate: REST for schema, aliases and shards, its gRPC messages for rows. Needs the extra `[weaviate]`."""

import importlib
import warnings

with warnings.catch_warnings(record=True):  # what the client's libraries say of each other is not for our users' logs
    importlib.import_module("weaviate.proto.v1")
