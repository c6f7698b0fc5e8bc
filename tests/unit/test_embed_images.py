from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn import datasets

from easeml_ray.embed import embedding_named
from easeml_ray.embed.convolution import CONTRAST, THRESHOLD, patches_of
from easeml_ray.embed.efficientnet import MODULES
from easeml_ray.embed.extras import installed
from easeml_ray.errors import InvalidArgument

IMAGES = datasets.load_digits().images / 16.0


def test_pixels_are_the_flat_image_whether_of_bytes_or_of_floats() -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    fitted = embedding_named("pixels").fit(images)
    assert np.array_equal(fitted.transform(images), images.reshape(2, 12) / 255)
    assert np.array_equal(fitted.transform(images / 255.0), fitted.transform(images))


def test_pixel_components_are_not_scaled_pixel_by_pixel() -> None:
    fitted = embedding_named("pixels-pca-64").fit(IMAGES[:100])
    pixels, Z = IMAGES[100:150].reshape(50, -1), fitted.transform(IMAGES[100:150])
    assert fitted.n_dimensions == 64 and np.allclose(cdist(Z, Z), cdist(pixels, pixels))
    assert embedding_named("pixels-pca-9").fit(IMAGES[:5]).n_dimensions == 5


def test_random_convolutions_see_textures_that_pixels_miss() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    phases, widths, contrasts = (
        rng.uniform(*ends, (300, 1, 1)) for ends in ((0.0, 6.3), (0.6, 1.6), (0.1, 0.5))
    )
    y, x = np.mgrid[0:16, 0:16]
    along = np.where(labels[:, None, None] == 0, x + y, x - y)
    images = contrasts * np.sin(widths * along + phases) + rng.uniform(0.0, 1.0, (300, 1, 1))
    images += 0.05 * rng.standard_normal((300, 16, 16))
    errors = {}
    for name in ("pixels", "random-conv-32"):
        Z = embedding_named(name).fit(images[:20]).transform(images)
        errors[name] = (labels[cdist(Z[20:], Z[:20]).argmin(axis=1)] != labels[20:]).mean()
    assert errors["random-conv-32"] < 0.05 < 0.25 < errors["pixels"]


def test_random_convolutions_equal_the_loop_over_positions() -> None:
    images = np.random.default_rng(0).random((3, 9, 8, 2))
    fitted = embedding_named("random-conv-5").fit(images)
    side, filters, mean = fitted.map.side, fitted.map.filters, fitted.map.mean
    assert side == 4 and fitted.n_dimensions == 20
    height, width = 9 - side + 1, 8 - side + 1
    for image, embedded in zip(images, fitted.transform(images), strict=True):
        answers = np.zeros((height, width, 5))
        for i in range(height):
            for j in range(width):
                patch = image[i : i + side, j : j + side].transpose(2, 0, 1).ravel()
                patch = (patch - patch.mean()) / np.sqrt(patch.var() + CONTRAST)
                answers[i, j] = np.maximum((patch - mean) @ filters - THRESHOLD, 0.0)
        quarters = [
            answers[a, b].mean(axis=(0, 1))
            for a in (slice(0, 3), slice(3, 6))
            for b in (slice(0, 3), slice(2, 5))
        ]
        expected = np.concatenate(quarters)
        assert np.allclose(embedded, expected / np.linalg.norm(expected))


def test_large_images_are_averaged_down_and_tiny_ones_are_their_own_patch() -> None:
    rng = np.random.default_rng(0)
    small = rng.random((6, 40, 33, 1))
    large = small.repeat(3, axis=1).repeat(3, axis=2)
    a, b = (embedding_named("random-conv-4").fit(images).transform(images) for images in (small, large))
    assert np.allclose(a, b)
    for shape in ((1, 1), (2, 2), (1, 9)):
        assert np.isfinite(
            embedding_named("random-conv-4").fit(rng.random((5, *shape))).transform(rng.random((2, *shape)))
        ).all()


def test_patches_of_one_colour_are_zero() -> None:
    assert np.abs(patches_of(np.full((1, 5, 5, 3), 0.7), 3)).max() < 1e-12


@pytest.mark.skipif(not installed(*MODULES), reason="pip install 'easeml_ray[image]' is not done")
def test_the_network_knows_a_photograph_from_another_and_refuses_four_channels() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:60, 0:80]
    stripes = np.stack([128 + 127 * np.sin(x / 3 + phase) for phase in (0.0, 0.7)])
    discs = np.stack([255.0 * (((y - 30) ** 2 + (x - cx) ** 2) < 300) for cx in (35, 45)])
    images = np.concatenate([stripes, discs]) + rng.normal(0, 3, (4, 60, 80))
    images = np.clip(images, 0, 255).astype(np.uint8)
    fitted = embedding_named("efficientnet-lite0").fit(images)
    Z = fitted.transform(images)
    near = cdist(Z, Z)
    assert fitted.n_dimensions == 1280 and max(near[0, 1], near[2, 3]) < near[:2, 2:].min()
    # One grey channel is three equal ones.
    colour = np.repeat(images[..., None], 3, axis=3)
    assert np.allclose(
        embedding_named("efficientnet-lite0").fit(colour).transform(colour[:1]), Z[:1], atol=1e-3
    )
    with pytest.raises(InvalidArgument, match="1 or 3 channels, not 4"):
        embedding_named("efficientnet-lite0").fit(np.zeros((1, 8, 8, 4)))
