"""One file a command; the table of all is in `main.py`."""
