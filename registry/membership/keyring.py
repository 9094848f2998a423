"""The keys of an encrypted pool: the first one encrypts, each may decrypt.

Rotation without a gap: install the new key everywhere, then use it, then remove the old one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from .errors import KeyringError, MalformedMessage

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZES: Final = (16, 24, 32)
"""Bytes of a key: AES-128, AES-192 or AES-256."""

MAX_KEYS: Final = 32
"""Each one is tried on a packet that fits none."""

VERSION_SIZE: Final = 1
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
BLOCK_SIZE: Final = 16
OVERHEAD: Final = VERSION_SIZE + NONCE_SIZE + TAG_SIZE
"""Bytes that encryption of version 1 adds; version 0 also pads to whole blocks."""


def decode_key(text: str) -> bytes:
    """The key in its base64 form.

    Raises:
        KeyringError: it is not base64, or not 16, 24 or 32 bytes.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyringError("illegal base64 data") from error
    check_key(key)
    return key


def check_key(key: bytes) -> None:
    """Refuse what cannot be a key.

    Raises:
        KeyringError: it is not 16, 24 or 32 bytes.
    """
    if len(key) not in KEY_SIZES:
        raise KeyringError("key size must be 16, 24 or 32 bytes")


def encode_key(key: bytes) -> str:
    """``key`` in base64."""
    return base64.b64encode(key).decode()


class Keyring:
    """Keys in order, the primary first. Never logged."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._ciphers: dict[bytes, AESGCM] = {}
        self.version = 0
        """Grows with each change."""
        for key in keys:
            self.install(key)
        if not self._ciphers:
            raise KeyringError("keyring has no keys")
        self.version = 0

    @classmethod
    def load(cls, content: bytes) -> Keyring:
        """The keyring in a file: a JSON array of keys in base64, the primary first.

        Raises:
            KeyringError: it is something else.
        """
        try:
            texts = msgspec.json.decode(content, type=list[str])
        except msgspec.DecodeError as error:
            raise KeyringError(f"failed to read the keyring: {error}") from error
        return cls([decode_key(text) for text in texts])

    def dump(self) -> bytes:
        """What :meth:`load` reads."""
        return msgspec.json.encode([encode_key(key) for key in self._ciphers])

    @property
    def primary(self) -> bytes:
        """The key that encrypts."""
        return next(iter(self._ciphers))

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the primary first."""
        return tuple(self._ciphers)

    def install(self, key: bytes) -> None:
        """Add ``key`` at the end; one that is there already stays where it is.

        Raises:
            KeyringError: it cannot be a key, or there are too many.
        """
        check_key(key)
        if key in self._ciphers:
            return
        if len(self._ciphers) >= MAX_KEYS:
            raise KeyringError(f"keyring is full: it holds {MAX_KEYS} keys")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 7 MB for who needs it

        self._ciphers[key] = AESGCM(key)
        self.version += 1

    def use(self, key: bytes) -> None:
        """Make ``key`` the primary.

        Raises:
            KeyringError: it was not installed.
        """
        if key not in self._ciphers:
            raise KeyringError("requested key is not in the keyring")
        if key != self.primary:
            cipher = self._ciphers.pop(key)
            self._ciphers = {key: cipher, **self._ciphers}
            self.version += 1

    def remove(self, key: bytes) -> None:
        """Forget ``key``; one that is not there is fine.

        Raises:
            KeyringError: it is the primary.
        """
        if key == self.primary:
            raise KeyringError("Removing the primary key is not allowed")
        if self._ciphers.pop(key, None) is not None:
            self.version += 1

    def encrypt(self, content: bytes, *, nonce: bytes, bound: bytes) -> bytes:
        """``content`` as version 1. ``bound`` has to be the same when it is decrypted."""
        cipher = self._ciphers[self.primary]
        return b"\x01" + nonce + cipher.encrypt(nonce, content, bound)

    def decrypt(self, content: bytes, *, bound: bytes) -> bytes:
        """What was encrypted, in version 0 or 1, with any of the keys.

        Raises:
            MalformedMessage: of another version, too short, or no key fits.
        """
        if not content or content[0] > 1:
            raise MalformedMessage("wrong encryption version")
        if len(content) < OVERHEAD + (BLOCK_SIZE if content[0] == 0 else 0):
            raise MalformedMessage("too short to decrypt")
        from cryptography.exceptions import InvalidTag

        nonce, sealed = content[1 : 1 + NONCE_SIZE], content[1 + NONCE_SIZE :]
        for cipher in self._ciphers.values():
            try:
                plain = cipher.decrypt(nonce, sealed, bound)
            except InvalidTag:
                continue
            return plain if content[0] == 1 else _unpad(plain)
        raise MalformedMessage("no key fits")


def _unpad(content: bytes) -> bytes:
    """Without the padding of version 0 (PKCS #7)."""
    count = content[-1] if content else 0
    if not 1 <= count <= BLOCK_SIZE or content[-count:] != bytes((count,)) * count:
        raise MalformedMessage("wrong padding")
    return content[:-count]
