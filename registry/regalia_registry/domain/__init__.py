"""Pure rules that only the server needs: values in, values out."""
