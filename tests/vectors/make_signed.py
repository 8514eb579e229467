"""Write the vectors of signed documents: `python -m tests.vectors.make_signed`, from the root of the repository.

Keys come from their names and signatures are deterministic, so that a second run changes no byte.
"""

from tests.vectors import envelopes, roots, statements

if __name__ == "__main__":
    envelopes.make()
    roots.make()
    statements.make()
