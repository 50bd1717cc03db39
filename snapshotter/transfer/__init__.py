"""Carry snapshots between homes: as one file, or by way of an object storage URL."""
