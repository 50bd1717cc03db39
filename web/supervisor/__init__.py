"""`stillframe up`.

One small process (standard library only) that keeps the web door, the gateway and the worker running.
"""
