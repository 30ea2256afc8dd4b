"""The HTTP edge: thin handlers over `control` for changes and the log for reading; `app.py` is its index."""
