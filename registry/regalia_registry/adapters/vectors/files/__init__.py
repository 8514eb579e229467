"""Collections as files of a folder: Parquet and JSONL, the way in and out for every other engine."""
