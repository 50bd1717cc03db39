"""What a browser is told about every answer of the editor. Pure.

The frontend bundles code that calls its maker, and plugins bring scripts of anybody, so the page may talk to
nobody but its own prefix of this origin. Each relaxation has its reason:

- inline styles: the frontend sets them by the hundred;
- `blob:` and `data:` for pictures, media, fonts, workers and reads: previews arrive as bytes of a websocket;
- `wasm-unsafe-eval`: decoders of 3D models;
- scripts and pictures of this whole origin: plugins import `/scripts/app.js`, the page asks for `/assets/`;
- frames of this page's own making, for plugins that show a document.
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

# Files of users are shown, never run: a picture may be an SVG with a script in it.
FILE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'"
FILE_ROUTES = ("/view", "/userdata/", "/viewvideo")


def page_policy(host: str, prefix: str, inline_scripts: Iterable[str]) -> str:
    """The Content-Security-Policy of the page at `prefix` (ends with a slash) on `host`."""
    here = f"http://{host}{prefix}"  # a browser takes https for http here, never the other way
    rules = {
        "default-src": "'self'",
        "script-src": " ".join(("'self'", "blob:", "'wasm-unsafe-eval'", *inline_scripts)),
        "style-src": "'self' 'unsafe-inline'",
        "connect-src": f"{here} ws://{host}{prefix} data: blob:",
        "img-src": "'self' data: blob:",
        "media-src": f"{here} data: blob:",
        "font-src": "'self' data:",
        "worker-src": "'self' blob:",
        "frame-src": f"{here} blob: data:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": here,
        "frame-ancestors": "'self'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def guarded(headers: Iterable[tuple[bytes, bytes]], policy: str) -> Headers:
    """`headers` with ours instead of any of the same names."""
    ours = _common(policy)
    names = {name for name, _ in ours} | {b"server"}
    kept = [(name, value) for name, value in headers if name.lower() not in names]
    return [pair for pair in kept if not pair[0].lower().startswith(b"access-control-")] + ours


def _common(policy: str) -> Headers:
    return [
        (b"content-security-policy", policy.encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"SAMEORIGIN"),
        # Never to another origin. Within this one it tells which project's editor asks by an absolute path.
        (b"referrer-policy", b"same-origin"),
        (b"x-dns-prefetch-control", b"off"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
