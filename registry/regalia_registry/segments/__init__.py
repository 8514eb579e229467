"""The storage form of snapshots: Parquet segments in files of a work folder. Needs the extra `[snapshots]`.

Loaded by the worker only: pyarrow and numpy are too large for a web process.
"""
