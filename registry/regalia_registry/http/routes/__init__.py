"""One file a family of routes; the table of all is in `http/app.py`."""
