"""The key that secrets are sealed with: AES-256-GCM, one key a home, in a file that only its owner may read.

A sealed text is `v1:KEY:BASE64`, KEY naming the key it was sealed with, so that a wrong key is told from
damage. What it belongs to is sealed in with it: a value copied to another row does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from publisher.errors import SecretDamaged, SecretKeyMissing, SecretKeyUnusable, SecretSealedOtherwise
from publisher.settings import Settings
from workstation.layout import Home

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = "v1"
OWNER_ONLY = 0o077  # bits that no key file may have


class Keyring:
    """The key of one home. It is read at each use, so that a key that was put back counts at once."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @classmethod
    def of(cls, home: Home, settings: Settings) -> Keyring:
        """The setting `secret_key_file`, else HOME/secret.key."""
        return cls(Path(settings.secret_key_file or home.root / "secret.key"))

    def make(self) -> None:
        """Make the key where there is none. The first of several at once wins."""
        if self.file.exists():
            return
        partial = self.file.with_name(f".{self.file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(partial, self.file)  # unlike a rename, this never replaces a key that seals something
        except FileExistsError:
            pass
        finally:
            partial.unlink()

    def seal(self, name: str, belongs_to: str, value: str) -> str:
        """Raises SecretKeyMissing, SecretKeyUnusable."""
        key = self._key(name)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + _cipher(key).encrypt(nonce, value.encode(), belongs_to.encode())
        return f"{FORMAT}:{_name_of(key)}:{base64.b64encode(sealed).decode()}"

    def open(self, name: str, belongs_to: str, sealed: str) -> str:
        """Raises SecretKeyMissing, SecretKeyUnusable, SecretSealedOtherwise, SecretDamaged."""
        from cryptography.exceptions import InvalidTag

        key = self._key(name)
        parts = sealed.split(":")
        if len(parts) != 3 or parts[0] != FORMAT:
            raise SecretDamaged(name)
        if parts[1] != _name_of(key):
            raise SecretSealedOtherwise(name, self.file, parts[1], _name_of(key))
        try:
            raw = base64.b64decode(parts[2], validate=True)
            return _cipher(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], belongs_to.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as problem:
            raise SecretDamaged(name) from problem

    def _key(self, name: str) -> bytes:
        try:
            mode = self.file.stat().st_mode
            text = self.file.read_text(encoding="ascii")
        except FileNotFoundError as problem:
            raise SecretKeyMissing(self.file, name) from problem
        except (OSError, UnicodeDecodeError) as problem:
            raise SecretKeyUnusable(self.file, f"it cannot be read ({type(problem).__name__})") from problem
        if mode & OWNER_ONLY:
            raise SecretKeyUnusable(self.file, "others than its owner may read it: chmod 600")
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error as problem:
            raise SecretKeyUnusable(self.file, "it is not base64") from problem
        if len(key) != KEY_BYTES:
            raise SecretKeyUnusable(self.file, f"it holds {len(key)} bytes instead of {KEY_BYTES}")
        return key


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 20 ms that most commands do without

    return AESGCM(key)


def _name_of(key: bytes) -> str:
    return hashlib.sha256(b"stillframe key " + key).hexdigest()[:8]
