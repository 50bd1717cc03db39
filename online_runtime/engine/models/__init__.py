"""Weights and what is done with them: our MODEL, CLIP and VAE on torch and diffusers, loaded offline from
single files.

Importing this package imports neither torch nor diffusers; `attention`, `offered`, `memory`, `errors` and
`tokens` do not either.
"""
