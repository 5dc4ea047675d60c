"""Measurements of clean spectra: what a network is trained on, drawn anew for every sample and epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d

from fcinv_core.crystal import FloatArray
from fcinv_core.networks.amplitudes import AmplitudeRanges, random_amplitudes, random_functions
from fcinv_core.networks.coverage import CoverageRanges, random_coverage
from fcinv_core.networks.inputs import NOISE_FREE
from fcinv_core.qpath import QPath
from fcinv_core.spectrum import Resolution, SpectralGrid, render

#: "none": clean spectra, all modes alike, fully covered, as in Sable et al.; "measured": `MeasurementRanges`;
#: "mixed": half of them ideal, for networks that answer simulated spectra too.
Augmentation = Literal["none", "measured", "mixed"]
#: Share of ideal spectra in the mixture: seldom met, they would be answered as the worst of experiments.
_IDEAL = 0.5
#: Share of intensities below the one that backgrounds and counts refer to: a few pixels near Γ may be far higher.
_MAXIMUM_QUANTILE = 0.99


@dataclass(frozen=True)
class MeasurementRanges:
    """From what range each property of a measurement is drawn.

    Attributes
    ----------
    amplitudes, coverage
        See there.
    width
        Resolution in units of the default one, at the elastic line.
    width_slope
        Relative change of the width from energy 0 to the incident energy.
    smearing
        Largest standard deviation of the average along the path, points.
    offset
        Largest energy offset in units of the default FWHM.
    background
        Largest constant background in units of the maximum, and how often there is any.
    incoherent
        Largest intensity of incoherent scattering (the same at all q) in units of the mean, and how often.
    tail
        How often the elastic line leaves a tail above its mask, and its largest height in units of the maximum.
    counts
        Range of the counts at the maximum.
    noise_free
        Share of samples without counting noise.
    ideal
        Share of samples that are no experiments but spectra such as one simulates: all modes alike, covered
        everywhere, with the default resolution, no offset, and a constant background in units of the very maximum;
        counts as of the others.
    """

    amplitudes: AmplitudeRanges = field(default_factory=AmplitudeRanges)
    coverage: CoverageRanges = field(default_factory=CoverageRanges)
    width: tuple[float, float] = (0.5, 2.0)
    width_slope: tuple[float, float] = (-0.85, 0.1)
    smearing: float = 1.2
    offset: float = 0.3
    background: tuple[float, float] = (0.4, 0.7)
    incoherent: tuple[float, float] = (0.6, 0.4)
    tail: tuple[float, float] = (0.3, 0.5)
    counts: tuple[float, float] = (1.0, 3000.0)
    noise_free: float = 0.15
    ideal: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain content for JSON."""
        return asdict(self)


def ranges_of(augment: Augmentation) -> MeasurementRanges | None:
    """Return what the measurements of an augmentation are like; None for clean spectra."""
    known = {"none": None, "measured": MeasurementRanges(), "mixed": MeasurementRanges(ideal=_IDEAL)}
    return known[augment]


@dataclass(frozen=True, eq=False)
class Spectrometer:
    """Draws measurements of mode energies on one path and grid.

    Attributes
    ----------
    path, grid, resolution
        Those of the training set.
    ranges
        What measurements are like; None for clean spectra.
    """

    path: QPath
    grid: SpectralGrid
    resolution: Resolution
    ranges: MeasurementRanges | None

    def measure(self, energies: FloatArray, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Draw one measurement.

        Parameters
        ----------
        energies
            Shape (n_q, s): mode energies of one sample, meV.
        generator
            Source of randomness.

        Returns
        -------
        Counts and exposure, shape (n_q, n_bins): counts are Poisson with mean intensity times exposure, or that
        mean itself in samples that are free of noise.
        """
        if self.ranges is None:
            clean = np.asarray(render(energies, self.grid, self.resolution), dtype=float)
            return NOISE_FREE * clean, np.full(clean.shape, NOISE_FREE)
        ranges = self.ranges
        # Where none is asked for, nothing is drawn: experiments stay those of their seeds.
        if ranges.ideal > 0 and generator.random() < ranges.ideal:
            intensity = self._ideal(energies, generator)
            exposure = np.ones(intensity.shape)
        else:
            exposure, incident = random_coverage(generator, self.path, self.grid, ranges.coverage)
            intensity = self._phonons(energies, generator, incident)
            inside = intensity[exposure > 0]
            place = int(_MAXIMUM_QUANTILE * (len(inside) - 1))
            intensity /= float(np.partition(inside, place)[place]) or float(intensity.max()) or 1.0
            intensity += self._background(generator, intensity, incident)
        noise_free = generator.random() < ranges.noise_free
        level = NOISE_FREE if noise_free else float(np.exp(generator.uniform(*np.log(ranges.counts))))
        exposure *= level / exposure[exposure > 0].mean()
        expected = intensity * exposure
        return expected if noise_free else generator.poisson(expected).astype(float), exposure

    def _ideal(self, energies: FloatArray, generator: np.random.Generator) -> FloatArray:
        """Intensity of modes that weigh 1, whose highest is 1, on a constant background."""
        assert self.ranges is not None
        highest, often = self.ranges.background
        intensity = np.asarray(render(energies, self.grid, self.resolution), dtype=float)
        level = highest * generator.random() if generator.random() < often else 0.0
        return np.asarray(intensity / (float(intensity.max()) or 1.0) + level)

    def _phonons(self, energies: FloatArray, generator: np.random.Generator, incident: float) -> FloatArray:
        """One-phonon intensity of amplitudes, resolution, offset and average along the path."""
        assert self.ranges is not None
        ranges = self.ranges
        base = float(self.resolution.fwhm(np.zeros(1))[0])
        amplitudes = random_amplitudes(generator, energies, self.path, self.grid.maximum, ranges.amplitudes)
        width = base * np.exp(generator.uniform(*np.log(ranges.width)))
        slope = generator.uniform(*ranges.width_slope)
        # Modes above the incident energy have a width too.
        slope = max(slope, -0.9 * incident / self.grid.maximum)
        resolution = Resolution((width, width * slope / incident))
        offset = ranges.offset * base * generator.uniform(-1, 1)
        shifted = np.where(energies > 0, np.maximum(energies + offset, 0.0), energies)
        intensity = np.asarray(render(shifted, self.grid, resolution, amplitudes), dtype=float)
        smearing = ranges.smearing * generator.random()
        if smearing > 0:
            for piece in self.path.pieces:
                intensity[piece] = gaussian_filter1d(
                    intensity[piece], smearing, axis=0, mode="nearest", truncate=3.0
                )
        return intensity

    def _background(self, generator: np.random.Generator, intensity: FloatArray, incident: float) -> FloatArray:
        """Background of an intensity whose maximum is 1: flat in counts, incoherent, and of the elastic line."""
        assert self.ranges is not None
        ranges, energy = self.ranges, self.grid.centres
        background = np.zeros_like(intensity)
        if generator.random() < ranges.background[1]:
            # Flat in time of flight bins of equal energy: ki/kf of it is in the intensity.
            shape = np.sqrt(incident / np.maximum(incident - energy, 0.02 * incident))
            along = np.exp(0.2 * random_functions(generator, self.path, 1)[0])
            background += ranges.background[0] * generator.random() * along[:, None] * shape / shape[0]
        if generator.random() < ranges.incoherent[1]:
            background += ranges.incoherent[0] * generator.random() * intensity.mean(axis=0)
        if generator.random() < ranges.tail[0]:
            decay = self.grid.maximum * np.exp(generator.uniform(np.log(0.01), np.log(0.08)))
            background += ranges.tail[1] * generator.random() * np.exp(-np.maximum(energy, 0) / decay)
        return background
