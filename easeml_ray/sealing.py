"""Encryption of a stable test set at rest, to the key of its one reader.

Hybrid public key encryption in base mode: X25519 with HKDF-SHA256 as the key
encapsulation, HKDF-SHA256 as the derivation, AES-256-GCM as the cipher. Anybody
with the public key can seal; only the holder of the private key can unseal, and
a changed byte is noticed. The private key is 32 raw bytes and is never written here.

References
----------
R. Barnes et al., "Hybrid Public Key Encryption", RFC 9180, 2022.
"""

from __future__ import annotations

from typing import Any

from easeml_ray.errors import InvalidArgument, StoreError, TooLarge

__all__ = ["new_private_key", "public_key", "seal", "unseal"]

KEY_BYTES = 32
# Tells a sealed blob from any other and carries the format's version.
HEADER = b"easeml-sealed-1\n"
# Bound into the derived key: bytes sealed for another purpose do not open here.
PURPOSE = b"easeml_ray stable test set, format 1"
# The library's one-shot ciphers take less than 2 GiB.
MAX_BYTES = 2**31 - 1024


def new_private_key() -> bytes:
    """Make a private key, 32 raw bytes from the operating system's random source."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(private: bytes) -> bytes:
    """Derive the public key, 32 raw bytes that may be given to anybody."""
    return bytes(_private(private).public_key().public_bytes_raw())


def seal(data: bytes, public: bytes) -> bytes:
    """Encrypt bytes, less than 2 GiB, to a public key: different at every call, 64 bytes longer."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    if len(data) > MAX_BYTES:
        raise TooLarge(
            f"{len(data)} bytes are too many to seal at once.",
            hint="seal the test set in parts",
            limit=MAX_BYTES,
            size=len(data),
        )
    _check_length(public, "public")
    try:
        sealed = _suite().encrypt(data, X25519PublicKey.from_public_bytes(public), info=PURPOSE)
    except ValueError as error:
        raise InvalidArgument("The public key is not a point to encrypt to.", argument="public") from error
    return HEADER + bytes(sealed)


def unseal(sealed: bytes, private: bytes) -> bytes:
    """Decrypt what was sealed to the private key's public key."""
    from cryptography.exceptions import InvalidTag

    key = _private(private)
    if not sealed.startswith(HEADER):
        raise StoreError("The bytes are not a sealed test set.", hint="seal() makes them")
    try:
        return bytes(_suite().decrypt(sealed[len(HEADER) :], key, info=PURPOSE))
    except (InvalidTag, ValueError) as error:
        raise StoreError(
            "The sealed test set does not open: it is damaged, or was sealed to another key.",
            hint="restore the gate's private key; without it the era has to end",
        ) from error


def _suite() -> Any:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _private(private: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    _check_length(private, "private")
    return X25519PrivateKey.from_private_bytes(private)


def _check_length(key: bytes, name: str) -> None:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        # Never the key itself in the message.
        raise InvalidArgument(f"The {name} key is not {KEY_BYTES} raw bytes.", argument=name)
