"""Workflows that somebody saved in the editor: listed, read, written, and exported in API format."""
