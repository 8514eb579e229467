"""The catalog in PostgreSQL; loaded by whoever stores there, and by nobody else."""
