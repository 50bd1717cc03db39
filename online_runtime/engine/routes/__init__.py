"""The engine's HTTP routes, one module a subject; the server mounts each table at `/x` and `/api/x`."""
