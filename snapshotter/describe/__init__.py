"""The searchable half of a manifest: what the frozen bytes are, for people."""
