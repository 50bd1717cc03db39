"""HOME/run/door.key: what shows the web door that a command runs as the owner of the home.

Who can read the file can read the databases beside it: the key gives nothing that the file system does not.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import quote, unquote

SCHEME = "Local"


def make_key(run: Path) -> str:
    """A new key for the door that starts now, mode 0600, written by rename."""
    key = secrets.token_urlsafe(32)
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = run / f".door.key.{os.getpid()}.partial"
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key)
    partial.replace(run / "door.key")
    return key


def authorization(run: Path, caller: str) -> str:
    """The Authorization header of the command that `caller` runs. Raises FileNotFoundError when no door
    ever served this home.
    """
    return f"{SCHEME} {(run / 'door.key').read_text(encoding='utf-8')} {quote(caller)}"


def caller_of(value: str, key: str) -> str | None:
    """Who runs the command, from what follows the scheme; None when the key is another one."""
    given, _, caller = value.strip().partition(" ")
    return unquote(caller) if hmac.compare_digest(given.encode(), key.encode()) and caller else None
