"""Encryption of the stable test set at rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from easeml_ray import sealing
from easeml_ray.errors import InvalidArgument, StoreError, TooLarge
from easeml_ray.sealing import new_private_key, public_key, seal, unseal

PRIVATE = new_private_key()
PUBLIC = public_key(PRIVATE)


@pytest.mark.parametrize("data", [b"", b"x", b"label" * 100_000])
def test_what_was_sealed_is_unsealed(data: bytes) -> None:
    sealed = seal(data, PUBLIC)
    assert unseal(sealed, PRIVATE) == data
    assert len(sealed) == len(data) + 64


def test_sealing_twice_gives_different_bytes_without_the_data() -> None:
    first, second = seal(b"canary-label", PUBLIC), seal(b"canary-label", PUBLIC)
    assert first != second
    assert b"canary" not in first


def test_another_key_does_not_open() -> None:
    with pytest.raises(StoreError, match="another key"):
        unseal(seal(b"data", PUBLIC), new_private_key())


def test_every_changed_byte_is_noticed() -> None:
    sealed = seal(b"data", PUBLIC)
    for i in range(len(sealed)):
        damaged = sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :]
        with pytest.raises(StoreError):
            unseal(damaged, PRIVATE)


@pytest.mark.parametrize("length", [0, 10, 16, 47, 63])
def test_truncated_bytes_are_refused(length: int) -> None:
    with pytest.raises(StoreError):
        unseal(seal(b"", PUBLIC)[:length], PRIVATE)


def test_keys_of_another_form_are_refused_without_being_shown() -> None:
    calls: list[Callable[[], bytes]] = [
        lambda: public_key(b"secret"),
        lambda: unseal(b"", b"secret"),
        lambda: seal(b"", b"secret"),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument) as caught:
            call()
        assert "secret" not in str(caught.value)
    with pytest.raises(InvalidArgument, match="point"):
        seal(b"data", bytes(32))


def test_more_than_the_cipher_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MAX_BYTES", 10)
    with pytest.raises(TooLarge) as caught:
        seal(b"12345678901", PUBLIC)
    assert (caught.value.limit, caught.value.size) == (10, 11)


def test_private_keys_are_thirty_two_random_bytes() -> None:
    assert len(PRIVATE) == len(PUBLIC) == 32
    assert new_private_key() != PRIVATE
    assert public_key(PRIVATE) == PUBLIC
