"""Convolutional parts that the architectures share: how an image is read, compressed and painted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Standard deviations of the Gaussians over which sparse counts are pooled, pixels.
_POOLED_OVER = (1.0, 2.5)
#: Weights of pixels that are too far off to count.
_NEGLIGIBLE = 1e-12
#: Scaled intensities are cut here: single counts on little exposure are larger without meaning more.
_BRIGHTEST = 4.0
#: Brings log(1 + expected counts) to the order of 1.
_EXPECTED_SCALE = 0.1
#: Expected counts below which a pooled intensity is drawn to zero.
_FEW_COUNTS = 1e-2


@dataclass(frozen=True)
class ImageShape:
    """Size of the images of a network.

    Attributes
    ----------
    channels
        2 for intensity and expected counts, 1 for a plain intensity.
    n_q, n_bins
        Path points and energies.
    """

    channels: int
    n_q: int
    n_bins: int


class Stem(nn.Module):
    """Fixed first layer: intensities compressed, and pooled with the weight of their exposure.

    A pixel of few expected counts says little alone. Normalised convolution, (g * counts) / (g * expected), gives
    the intensity of its surroundings however few of them are covered (Knutsson and Westin, CVPR 1993). The square
    root evens out counting noise and the range between acoustic and optical branches.
    """

    def __init__(self, shape: ImageShape) -> None:
        super().__init__()
        self.plain = shape.channels == 1
        self.channels = 1 if self.plain else 2 + 2 * len(_POOLED_OVER)
        for k, sigma in enumerate(_POOLED_OVER):
            self.register_buffer(f"along_{k}", _pooling(shape.n_q, sigma), persistent=False)
            self.register_buffer(f"across_{k}", _pooling(shape.n_bins, sigma), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return features, shape (b, channels, n_q, n_bins), of images (b, 1 or 2, n_q, n_bins)."""
        if self.plain:
            return images
        intensity, logarithm = images[:, :1], images[:, 1:]
        expected = torch.expm1(logarithm)
        features = [intensity.clamp(0, _BRIGHTEST).sqrt(), _EXPECTED_SCALE * logarithm]
        both = torch.cat([intensity * expected, expected], dim=1)
        for k in range(len(_POOLED_OVER)):
            pooled_sums = self.get_buffer(f"along_{k}") @ both @ self.get_buffer(f"across_{k}")
            counts, weight = pooled_sums[:, :1], pooled_sums[:, 1:]
            pooled = counts / (weight + _FEW_COUNTS)
            features += [pooled.clamp(0, _BRIGHTEST).sqrt(), _EXPECTED_SCALE * torch.log1p(weight)]
        return torch.cat(features, dim=1)


def _pooling(n: int, sigma: float) -> Tensor:
    """Gaussian weights of n pixels for each of them, shape (n, n), 1 at the pixel itself: sums, not averages."""
    place = torch.arange(n, dtype=torch.float32)
    weights = torch.exp(-(((place[:, None] - place) / sigma) ** 2) / 2)
    # Subnormal numbers, which the tails would lead to, are handled by processors many times more slowly.
    return torch.where(weights < _NEGLIGIBLE, 0.0, weights)


class Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Starts as the identity.
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return what has the shape of ``x``."""
        out: Tensor = x + self.second(functional.silu(self.first(functional.silu(x))))
        return out


class Encoder(nn.Module):
    """Image to a vector: strided convolutions, then one dense layer that knows where on the path a pixel lies."""

    def __init__(self, shape: ImageShape, widths: tuple[int, ...], n_out: int) -> None:
        super().__init__()
        self.stem = Stem(shape)
        layers: list[nn.Module] = []
        before, n_q, n_bins = self.stem.channels, shape.n_q, shape.n_bins
        for k, width in enumerate(widths):
            layers.append(nn.Conv2d(before, width, 5 if k == 0 else 3, stride=2, padding=2 if k == 0 else 1))
            # On the two finest images they would cost more than all the rest.
            if k > 1:
                layers.append(Residual(width))
            layers.append(nn.SiLU())
            before, n_q, n_bins = width, (n_q + 1) // 2, (n_bins + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.dense = nn.Linear(before * n_q * n_bins, n_out)

    def forward(self, images: Tensor) -> Tensor:
        """Return vectors, shape (b, n_out), of images (b, c, n_q, n_bins)."""
        features = self.stem(images).contiguous(memory_format=torch.channels_last)
        out: Tensor = functional.silu(self.dense(self.layers(features).flatten(1)))
        return out


class Decoder(nn.Module):
    """Vector to a spectrum: one dense layer, then convolutions on ever finer images.

    The finest image is not convolved: four pixels of it are four channels of the one before (Shi et al., CVPR
    2016).
    """

    def __init__(self, n_in: int, widths: tuple[int, ...], shape: ImageShape, n_hidden: int) -> None:
        super().__init__()
        self.sizes = [(shape.n_q, shape.n_bins)]
        for _ in widths:
            self.sizes.insert(0, ((self.sizes[0][0] + 1) // 2, (self.sizes[0][1] + 1) // 2))
        self.widths = widths
        self.hidden = nn.Linear(n_in, n_hidden)
        self.spread = nn.Linear(n_hidden, widths[-1] * math.prod(self.sizes[0]))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return spectra, shape (b, n_q, n_bins), of vectors (b, n_in)."""
        x = functional.silu(self.spread(functional.silu(self.hidden(vectors))))
        x = x.reshape(len(vectors), self.widths[-1], *self.sizes[0]).contiguous(memory_format=torch.channels_last)
        for convolution, size in zip(self.convolutions, self.sizes[1:-1], strict=True):
            x = functional.interpolate(x, size=size, mode="bilinear", align_corners=False)
            x = functional.silu(convolution(x))
        n_q, n_bins = self.sizes[-1]
        return functional.pixel_shuffle(self.last(x), 2)[:, 0, :n_q, :n_bins]
