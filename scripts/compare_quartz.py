"""Compare the coherent one-phonon model with a cut measured on quartz, at every detector pixel of the cut.

    python scripts/compare_quartz.py [--data ../shared/data/quartz_merlin] [--out quartz.png]

Quartz on MERLIN, Ei 45.12 meV, about 100 K, around Q = (-1, -4, 0); force constants from CASTEP. Scale, flat
background and a constant energy width are fitted to the cut, by its own errors; energies are those of CASTEP.
Prints the fit, its chi2 as it is, and the centroids of the two optical lines, and plots the cut.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar, nnls

from fcinv_core.crystal import FloatArray, map_cell
from fcinv_core.force_constants.euphonic_files import read_euphonic_force_constants
from fcinv_core.spectrum import FWHM_PER_SIGMA
from fcinv_core.structure_factor.debye_waller import bose_occupation, thermal_displacements
from fcinv_core.structure_factor.modes import LOWEST_ENERGY
from fcinv_core.structure_factor.one_phonon import OnePhonon, coherent_one_phonon
from fcinv_core.structure_factor.scattering_lengths import natural_scattering_lengths

TEMPERATURE = 100.0  # K
#: Windows of the two optical lines, meV.
LINES = {"lower": (13.0, 20.0), "upper": (22.0, 31.0)}
#: Widths between which the fit looks, FWHM, meV: a line wider than the elastic one (2.2 meV) is no line.
WIDTHS = (0.3, 2.2)
#: Modes above this energy do not reach the cut, meV.
HIGHEST = 45.0


@dataclass(frozen=True)
class Comparison:
    """The cut, and the model fitted to it.

    Attributes
    ----------
    energy, intensity, error
        Shape (n,): the measured cut, meV and arbitrary units.
    model
        Shape (n,): the fitted model, background included.
    scale, background, fwhm
        What was fitted; the width in meV.
    chi2
        Sum of squared residuals over squared errors.
    centroids
        Name of a line to its measured centroid, that of the model, and the error of the measured one, meV.
    """

    energy: FloatArray
    intensity: FloatArray
    error: FloatArray
    model: FloatArray
    scale: float
    background: float
    fwhm: float
    chi2: float
    centroids: dict[str, tuple[float, float, float]]

    @property
    def freedom(self) -> int:
        """Number of points less that of fitted parameters."""
        return len(self.energy) - 3

    def report(self) -> str:
        """Return the fit as lines for people."""
        lines = [
            f"scale {self.scale:.4g}, background {self.background:.1f}, FWHM {self.fwhm:.2f} meV",
            f"chi2 {self.chi2:.1f} for {self.freedom} degrees of freedom ({self.chi2 / self.freedom:.2f} each)",
        ]
        for name, (measured, modelled, error) in self.centroids.items():
            lines.append(
                f"{name} line: measured at {measured:.2f} ± {error:.2f} meV, model with CASTEP {modelled:.2f} meV"
            )
        return "\n".join(lines)


def compare(data: Path) -> Comparison:
    """Fit the model to the measured cut in a folder of the data."""
    energy, intensity, error, _ = np.loadtxt(data / "quartz_constQ_cut_E_I_err_n.txt").T
    edges = np.append(energy - 0.25, energy[-1] + 0.25)
    with np.load(data / "quartz_cut_pixels.npz", allow_pickle=False) as pixels:
        hkl, transfer = pixels["hkl"].astype(float), pixels["E"].astype(float)
    bins = np.searchsorted(edges, transfer, side="right") - 1
    inside = (bins >= 0) & (bins < len(energy))
    hkl, transfer, bins = hkl[inside], transfer[inside], bins[inside]

    lines = _scattering(data / "quartz.castep_bin", hkl)
    occupation = bose_occupation(np.maximum(lines.energies, LOWEST_ENERGY), TEMPERATURE)
    loss = lines.strengths * (occupation + 1)
    near = (lines.energies < HIGHEST).any(axis=0)
    modes, loss = lines.energies[:, near], loss[:, near]
    counts = np.bincount(bins, minlength=len(energy))

    def cut(fwhm: float) -> FloatArray:
        """Mean of S(Q, E) over the pixels of each bin of the cut."""
        sigma = fwhm / FWHM_PER_SIGMA
        line = np.exp(-0.5 * ((transfer[:, None] - modes) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        return np.asarray(np.bincount(bins, (loss * line).sum(axis=1), minlength=len(energy)) / counts)

    def fit(fwhm: float) -> tuple[FloatArray, float]:
        shape = cut(fwhm)
        columns = np.stack([shape, np.ones_like(shape)], axis=1) / error[:, None]
        coefficients, rest = nnls(columns, intensity / error)
        return np.asarray(coefficients), float(rest**2)

    best = minimize_scalar(lambda fwhm: fit(fwhm)[1], bounds=WIDTHS, method="bounded", options={"xatol": 1e-3})
    fwhm = float(best.x)
    (scale, background), chi2 = fit(fwhm)
    model = scale * cut(fwhm) + background
    centroids = {}
    for name, (low, high) in LINES.items():
        part = (energy > low) & (energy < high)
        measured = intensity[part] - background
        middle = float(energy[part] @ measured / measured.sum())
        spread = float(np.sqrt((((energy[part] - middle) * error[part]) ** 2).sum()) / measured.sum())
        modelled = float(energy[part] @ (model[part] - background) / (model[part] - background).sum())
        centroids[name] = (middle, modelled, spread)
    return Comparison(energy, intensity, error, model, float(scale), float(background), fwhm, chi2, centroids)


def _scattering(castep: Path, hkl: FloatArray) -> OnePhonon:
    """Coherent scattering at (h, k, l) of the cell that CASTEP used, which the measurement was indexed by."""
    from euphonic import ForceConstants as EuphonicForceConstants

    force_constants = read_euphonic_force_constants(castep)
    crystal = force_constants.crystal
    cell = EuphonicForceConstants.from_castep(str(castep)).crystal
    basis = map_cell(
        crystal,
        cell.cell_vectors.to("angstrom").magnitude,
        cell.atom_r,
        [str(symbol) for symbol in cell.atom_type],
        name=str(castep),
    ).basis
    return coherent_one_phonon(
        force_constants,
        hkl @ np.linalg.inv(basis),
        natural_scattering_lengths(crystal),
        thermal_displacements(force_constants, TEMPERATURE, 0.25),
    )


def draw(comparison: Comparison, path: Path) -> None:
    """Plot the cut and the model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    measured = (comparison.energy, comparison.intensity, comparison.error)
    axes.errorbar(*measured, fmt="o", ms=3, lw=1, color="0.25", label="measured")
    axes.plot(comparison.energy, comparison.model, color="tab:red", label="coherent one-phonon model, CASTEP")
    axes.axhline(comparison.background, color="tab:red", lw=0.8, ls=":", label="fitted background")
    axes.set_xlabel("energy transfer (meV)")
    axes.set_ylabel("intensity (arb. units)")
    axes.set_title(
        f"quartz at Q = (-1, -4, 0), MERLIN, about {TEMPERATURE:.0f} K; "
        f"FWHM {comparison.fwhm:.2f} meV, chi² {comparison.chi2:.0f} / {comparison.freedom}",
        fontsize=10,
    )
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Compare, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "quartz_merlin"
    parser.add_argument("--data", type=Path, default=default, help="folder of the cut (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("quartz.png"), help="picture (default: %(default)s)")
    arguments = parser.parse_args()
    comparison = compare(arguments.data)
    print(comparison.report())
    draw(comparison, arguments.out)
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
