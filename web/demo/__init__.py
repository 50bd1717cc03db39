"""The demo: the whole story on a tiny random model, told by the same commands that a person would type."""
