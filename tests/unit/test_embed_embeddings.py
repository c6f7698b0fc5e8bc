from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from easeml_ray.embed import EMBEDDINGS, Embedding, available_embeddings, embedding_named, embeddings
from easeml_ray.errors import InvalidArgument

RNG = np.random.default_rng(3)
TRAIN = np.column_stack([RNG.standard_normal((30, 4)) * [1.0, 10.0, 100.0, 0.1], np.full(30, 0.1)])
OTHER = RNG.standard_normal((7, 5))


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_every_embedding_keeps_its_contract(name: str) -> None:
    embedding = embedding_named(name)
    assert isinstance(embedding, Embedding) and embedding.name == name
    fitted = embedding.fit(TRAIN)
    whole = fitted.transform(OTHER)
    assert whole.dtype == np.float64 and whole.flags.c_contiguous and np.isfinite(whole).all()
    # A row's result does not depend on the rows beside it, nor on a second fit.
    assert np.allclose(fitted.transform(OTHER[2:3]), whole[2:3], atol=1e-12)
    assert np.array_equal(embedding.fit(TRAIN).transform(OTHER), whole)


def test_standardise_gives_zero_mean_and_unit_deviation_and_leaves_constants_at_zero() -> None:
    Z = embedding_named("standardise").fit(TRAIN).transform(TRAIN)
    assert np.allclose(Z.mean(axis=0), 0.0)
    assert np.allclose(Z.std(axis=0), [1, 1, 1, 1, 0])


def test_components_are_limited_by_rows_and_features_and_keep_distances_when_all_are_kept() -> None:
    fitted = embedding_named("pca-16").fit(TRAIN)
    Z = fitted.transform(TRAIN)
    S = embedding_named("standardise").fit(TRAIN).transform(TRAIN)
    assert Z.shape == (30, 5)
    assert np.allclose(np.linalg.norm(Z[0] - Z[1:], axis=1), np.linalg.norm(S[0] - S[1:], axis=1))
    assert embedding_named("pca-8").fit(TRAIN[:3]).transform(OTHER).shape == (7, 3)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument, match="no embedding named 'bert'") as caught:
        embedding_named("bert")
    assert "pca-8" in caught.value.hint


def test_an_installed_entry_point_is_found_but_cannot_replace_our_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = embeddings.ENTRY_POINT_GROUP
    points = [
        EntryPoint("mine", "easeml_ray.embed.raw:Raw", group),
        EntryPoint("raw", "easeml_ray.embed.standardise:Standardise", group),
    ]
    monkeypatch.setattr(embeddings, "entry_points", lambda group: points)
    assert available_embeddings() == [*EMBEDDINGS, "mine"]
    assert embedding_named("mine").name == "raw"
    assert embedding_named("raw").name == "raw"
