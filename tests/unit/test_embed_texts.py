from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from easeml_ray.embed import embedding_named
from easeml_ray.embed.extras import installed
from easeml_ray.embed.sentence import MODULES
from easeml_ray.embed.tfidf import MOST_WORDS
from easeml_ray.errors import InvalidArgument

SUBJECTS = ["cat", "dog", "train", "bus"]
VERBS = ["sleeps", "eats", "waits", "turns"]
TEXTS = [f"the {subject} {verb} near the old house" for subject in SUBJECTS for verb in VERBS]


@pytest.mark.parametrize("name", ["tfidf", "tfidf-svd-8", "hashed-512"])
def test_embedded_texts_have_norm_one_and_those_without_anything_known_are_zero(name: str) -> None:
    Z = embedding_named(name).fit(TEXTS).transform([*TEXTS, ""])
    assert np.allclose(np.linalg.norm(Z[:-1], axis=1), 1.0) and not Z[-1].any()


def test_tfidf_is_the_sublinear_weighting_of_lower_case_words() -> None:
    texts = ["Cat cat dog", "dog", "bird"]
    Z = embedding_named("tfidf").fit(pa.array(texts)).transform(["cat CAT dog"])
    idf = np.log(4 / (1 + np.array([1, 1, 2]))) + 1  # bird, cat, dog
    weights = np.array([0.0, 1 + np.log(2), 1.0]) * idf
    assert np.allclose(Z, weights / np.linalg.norm(weights))


def test_tfidf_keeps_the_most_frequent_words_up_to_its_limit() -> None:
    texts = [f"common{i % 5} rare{i}" for i in range(MOST_WORDS + 10)]
    fitted = embedding_named("tfidf").fit(texts)
    assert fitted.n_dimensions == MOST_WORDS
    assert fitted.transform(["common3"]).any()


def test_svd_keeps_cosines_when_all_directions_are_kept() -> None:
    fitted = embedding_named("tfidf-svd-64").fit(TEXTS)
    Z = fitted.transform(TEXTS)
    A = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)).fit_transform(TEXTS).toarray()
    assert fitted.n_dimensions == len(TEXTS)
    assert np.allclose(Z @ Z.T, A @ A.T)


def test_hashing_sees_a_misspelt_word_as_near() -> None:
    Z = embedding_named("hashed-1024").fit(["x"]).transform(["international", "internatoinal", "elephant"])
    assert Z[0] @ Z[1] > 0.2 > 0.1 > Z[0] @ Z[2]


def test_texts_without_a_word_are_refused_by_name() -> None:
    for name in ("tfidf", "tfidf-svd-4"):
        with pytest.raises(InvalidArgument, match=f"'{name}' finds no word") as caught:
            embedding_named(name).fit(["", "a !"])
        assert "hashed-1024" in caught.value.hint


@pytest.mark.skipif(not installed(*MODULES), reason="pip install 'easeml_ray[text]' is not done")
def test_the_sentence_encoder_sees_meaning_across_words_and_languages() -> None:
    fitted = embedding_named("sentence").fit(["x"])
    Z = fitted.transform(
        [
            "The weather is lovely today.",
            "Das Wetter ist heute herrlich.",
            "My computer needs a new keyboard.",
            "",
        ]
    )
    assert np.allclose(np.linalg.norm(Z, axis=1), 1.0, atol=1e-4)
    assert Z[0] @ Z[1] > 0.6 > 0.3 > Z[0] @ Z[2]
