"""Alembic migrations of the jobs database, shipped as package data."""
