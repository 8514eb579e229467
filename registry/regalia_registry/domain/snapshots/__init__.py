"""The logical content of a vector collection: its schema, its rows in one canonical form, and the root over them."""
