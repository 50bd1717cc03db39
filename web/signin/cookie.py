"""The session's cookie. Its name has the door's port in it: browsers give cookies to every port of a host."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.responses import Response
from starlette.types import Scope

NAME = "stillframe_session"


def cookie_name(scope: Scope) -> str:
    """What the cookie of the door that was called is named."""
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    port = host.rpartition("]")[2].rpartition(":")[2] if ":" in host.rpartition("]")[2] else ""
    return f"{NAME}_{port}" if port.isdigit() else NAME


def session_in(scope: Scope) -> str | None:
    """The session id that a browser sent, whatever it is worth."""
    name = cookie_name(scope)
    for header, value in scope["headers"]:
        if header == b"cookie":
            try:
                found = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                continue
            if name in found:
                return found[name].value
    return None


def give_cookie(answer: Response, scope: Scope, session_id: str, seconds: float) -> None:
    """Hand a session to the browser: to scripts never, to other sites never, over https only once it came
    so.
    """
    answer.set_cookie(
        cookie_name(scope),
        session_id,
        max_age=int(seconds),
        path="/",
        httponly=True,
        samesite="lax",
        secure=scope["scheme"] == "https",
    )


def take_cookie(answer: Response, scope: Scope) -> None:
    """Have the browser forget its session."""
    answer.delete_cookie(cookie_name(scope), path="/", httponly=True, samesite="lax")
