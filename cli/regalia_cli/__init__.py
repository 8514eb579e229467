"""`reg`: the command line, an HTTP client like any other."""
