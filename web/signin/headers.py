"""What every answer of the web door tells browsers: load nothing from elsewhere, be framed by nobody. Pure.

The console's library compiles its templates in the browser and starts by inline scripts, so both are
allowed to pages of this origin; no script, picture or connection of another one is. Answers that bring a
policy of their own, as those of the graph editor do, keep it.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
}
_POLICY = "Content-Security-Policy"


def protect(headers: MutableHeaders, host: str) -> None:
    """Add what is missing to the headers of an answer that goes to `host`'s pages."""
    for name, value in _ALWAYS.items():
        headers.setdefault(name, value)
    headers.setdefault(_POLICY, policy(host))


def policy(host: str) -> str:
    """The Content-Security-Policy of the console."""
    rules = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' ws://{host} wss://{host}",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())
