"""Models that arrive in the shared models folder: in parts by upload, or from a URL. Each can be cut off and
goes on; a model appears under its name only when it is whole."""
