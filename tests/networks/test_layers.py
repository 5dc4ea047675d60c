"""The fixed first layer pools counts with the weight of their exposure."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from fcinv_core.networks.layers import Decoder, Encoder, ImageShape, Stem

SHAPE = ImageShape(2, 30, 40)


def image(seed: int, level: float) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    generator = np.random.default_rng(seed)
    expected = generator.gamma(2.0, level / 2, (30, 40)) * (generator.random((30, 40)) > 0.3)
    counts = generator.poisson(0.4 * expected).astype(float)
    intensity = np.divide(counts, expected, where=expected > 0, out=np.zeros_like(counts))
    channels = np.stack([intensity, np.log1p(expected)]).astype(np.float32)
    return counts, expected, torch.from_numpy(channels[None])


def test_pooled_intensities_are_ratios_of_blurred_sums() -> None:
    counts, expected, images = image(0, 5.0)
    features = Stem(SHAPE)(images)[0].numpy()
    blurred = [gaussian_filter(x, 2.5, mode="constant", truncate=20) for x in (counts, expected)]
    inside = features[4] < 2  # not cut at the brightest
    np.testing.assert_allclose(features[4][inside] ** 2, (blurred[0] / blurred[1])[inside], rtol=0.01)


def test_a_sparse_measurement_is_pooled_to_its_intensity() -> None:
    _, _, images = image(1, 0.3)
    features = Stem(SHAPE)(images)[0].numpy()
    # Single pixels scatter by more than their intensity, pools of about 40 by a fraction of it.
    assert (features[0] ** 2).std() > 0.4
    assert abs(np.median(features[4] ** 2) - 0.4) < 0.15


def test_plain_images_pass_through() -> None:
    images = torch.rand(2, 1, 30, 40)
    assert torch.equal(Stem(ImageShape(1, 30, 40))(images), images)


def test_encoder_and_decoder_fit_odd_sizes() -> None:
    for n_q, n_bins in ((101, 100), (31, 40), (17, 23)):
        shape = ImageShape(2, n_q, n_bins)
        vectors = Encoder(shape, (8, 8, 8), 16)(torch.rand(2, 2, n_q, n_bins))
        assert vectors.shape == (2, 16)
        assert Decoder(16, (8, 8, 8), shape, 16)(vectors).shape == (2, n_q, n_bins)
