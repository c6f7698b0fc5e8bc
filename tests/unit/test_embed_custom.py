from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from easeml_ray.embed import Embedding, FunctionEmbedding, TransformerEmbedding
from easeml_ray.errors import InvalidArgument, TooFewRows

X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.arange(12) % 3


def test_a_function_embeds_rows_as_the_library_reads_them() -> None:
    embedding = FunctionEmbedding("squares", np.square, cost=3.0)
    assert isinstance(embedding, Embedding)
    assert (embedding.name, embedding.modality, embedding.supervised, embedding.cost) == (
        "squares",
        "table",
        False,
        3.0,
    )
    fitted = embedding.fit(X[:3].tolist())
    assert fitted.n_dimensions == 3 and np.array_equal(fitted.transform(X), X**2)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), X**2)
    assert fitted.transform(np.empty((0, 3))).shape == (0, 3)
    brightness = FunctionEmbedding("light", lambda images: images.mean(axis=(1, 2)), modality="image")
    images = np.full((2, 4, 4, 3), 255, dtype=np.uint8)
    assert np.array_equal(brightness.fit(images).transform(images), np.ones((2, 3)))
    sparse = FunctionEmbedding("sparse", csr_array)
    assert np.array_equal(sparse.fit(X).transform(X), X)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda rows: rows[:-1], r"returns 1 row\(s\) for 2"),
        (lambda rows: rows[:, 0], "returns an array of shape"),
        (lambda rows: rows[:, :0], "returns an array of shape"),
        (lambda rows: None, "returns an array of shape|NoneType"),
        (lambda rows: ["a", "b"], "returns a list that is no array of numbers"),
        (lambda rows: rows * np.nan, r"returns NaN or infinity in 2 row\(s\), the first is row 0"),
        (lambda rows: 1 / 0, "fails when embedding rows: ZeroDivisionError: division by zero"),
    ],
)
def test_a_function_that_does_not_keep_its_word_is_named(function: object, message: str) -> None:
    with pytest.raises(InvalidArgument, match=f"the embedding 'mine' .*{message}") as caught:
        FunctionEmbedding("mine", function).fit(X)
    assert caught.value.argument == "embeddings" and caught.value.hint


def test_another_width_than_at_fit_is_refused() -> None:
    fitted = FunctionEmbedding("wide", lambda rows: np.ones((len(rows), len(rows)))).fit(X)
    with pytest.raises(InvalidArgument, match="'wide' returns 12 dimensions, after 2 when it was fitted"):
        fitted.transform(X)
    fitted = FunctionEmbedding("late", lambda rows: rows if len(rows) == 2 else rows[1:]).fit(X)
    with pytest.raises(InvalidArgument, match=r"'late' returns 11 row\(s\) for 12"):
        fitted.transform(X)


def test_errors_of_the_library_and_want_of_memory_pass_unchanged() -> None:
    for error in (TooFewRows("too few", hint="Add rows."), MemoryError()):

        def fails(rows: object, error: Exception = error) -> None:
            raise error

        with pytest.raises(type(error)):
            FunctionEmbedding("mine", fails).fit(X)


def test_a_transformer_is_cloned_and_fitted_on_train_only() -> None:
    scaler = StandardScaler()
    fitted = TransformerEmbedding("scaled", scaler).fit(X[:6])
    assert not hasattr(scaler, "mean_")
    assert np.allclose(fitted.transform(X), StandardScaler().fit(X[:6]).transform(X))
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    words = TransformerEmbedding("counts", CountVectorizer(), modality="text").fit(["one two", "two"])
    assert np.array_equal(words.transform(["two two", "three"]), [[0, 2], [0, 0]])
    pixels = TransformerEmbedding("pixel", MinMaxScaler(), modality="image").fit(np.eye(4).reshape(2, 2, 4))
    assert pixels.n_dimensions == 8


def test_a_supervised_transformer_gets_the_labels() -> None:
    discriminants = TransformerEmbedding("lda", LinearDiscriminantAnalysis(), supervised=True)
    assert discriminants.fit(X, Y).n_dimensions == 2
    with pytest.raises(InvalidArgument, match="'lda' learns from labels"):
        discriminants.fit(X)


def test_a_transformer_that_fails_is_named() -> None:
    with pytest.raises(InvalidArgument, match="'mine' fails when being cloned"):
        TransformerEmbedding("mine", object()).fit(X)
    with pytest.raises(InvalidArgument, match="'mine' fails when being fitted: ValueError"):
        TransformerEmbedding("mine", PCA(5)).fit(X)


@pytest.mark.parametrize("name", ["", "raw", "pca-12", "sentence"])
def test_names_of_the_library_are_not_free(name: str) -> None:
    for make in (FunctionEmbedding, TransformerEmbedding):
        with pytest.raises(InvalidArgument, match="cannot be the name of your embedding"):
            make(name, np.square)
