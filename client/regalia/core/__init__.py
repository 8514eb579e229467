"""The pure core: formats, signatures and trust, as values in and values out."""
