"""Tokens of callers: how they come, how they are compared, and how they are kept from going further."""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qs

from online_runtime.gateway.errors import TokenRefused
from online_runtime.gateway.routing import ServiceRoute

QUERY_TOKEN = re.compile(r"(?:^|&)token=[^&]*")


def token_of(authorization: str | None, query: str, *, in_query: bool) -> str | None:
    """The token of a call: raw or Bearer header, or `?token=` where a browser can set no header
    (websockets).
    """
    if authorization:
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" and rest else authorization.strip()
    if in_query and "token=" in query:
        return parse_qs(query).get("token", [None])[0]
    return None


def without_token(query: str) -> str:
    """The query as an instance may see it."""
    return QUERY_TOKEN.sub("", query).lstrip("&") if "token=" in query else query


def check(route: ServiceRoute, token: str | None) -> None:
    """Raise TokenRefused unless `token` is one of the service's. Compares hashes in constant time."""
    if token is None or not is_valid(route, token):
        raise TokenRefused(route.name, given=token is not None)


def is_valid(route: ServiceRoute, token: str) -> bool:
    """Whether the service has this token now."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    found = False
    for known in route.tokens:
        found |= hmac.compare_digest(digest, known.sha256)
    return found
