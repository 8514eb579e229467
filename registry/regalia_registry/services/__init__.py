"""What the registry does: check rights, decide, and change in one transaction with its record."""
