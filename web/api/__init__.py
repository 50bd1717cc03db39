"""The REST API: one router a noun, its schemas beside it. It calls the same use cases as the command line."""
