"""The simulated dispersion of one set of force constants along a q-path, and the files that hold it."""

from __future__ import annotations

import csv
import io
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fcinv_core
from fcinv_core.crystal import Crystal, FloatArray
from fcinv_core.dynamics import mode_energies
from fcinv_core.errors import InputError
from fcinv_core.files import replace_when_complete
from fcinv_core.force_constants.pairs import ForceConstants
from fcinv_core.nexus import MDHisto, energy_dimension, path_dimension, write_mdhisto
from fcinv_core.qpath import QPath, standard_path
from fcinv_core.spectrum import DEFAULT_BINS, Resolution, SpectralGrid, default_resolution, grid_up_to, render
from fcinv_core.stability import TOLERANCE, judge


@dataclass(frozen=True, eq=False)
class Simulation:
    """Mode energies and spectrum of one set of force constants along a path.

    Attributes
    ----------
    force_constants
        The set.
    path
        The q-points.
    energies
        Shape (n, s): energies of the s branches, meV, ascending at each point, so that branches that cross
        exchange their columns; imaginary ones are negative.
    grid, resolution
        Of the spectrum.
    spectrum
        Shape (n, n_bins), single precision: every mode weighs 1; modes per meV.
    """

    force_constants: ForceConstants
    path: QPath
    energies: FloatArray
    grid: SpectralGrid
    resolution: Resolution
    spectrum: NDArray[np.float32]

    @property
    def crystal(self) -> Crystal:
        """The crystal."""
        return self.force_constants.crystal

    @property
    def lowest(self) -> tuple[float, tuple[float, float, float]]:
        """Lowest energy on the path, meV, and the q where it is."""
        worst = int(self.energies.min(axis=1).argmin())
        q1, q2, q3 = self.path.q[worst]
        return float(self.energies[worst].min()), (float(q1), float(q2), float(q3))

    @property
    def stable(self) -> bool:
        """Whether no mode on the path is imaginary."""
        return self.lowest[0] >= -TOLERANCE


def simulate(
    force_constants: ForceConstants,
    path: QPath | None = None,
    *,
    energy_range: tuple[float, float] | None = None,
    n_bins: int = DEFAULT_BINS,
    resolution: Resolution | None = None,
) -> Simulation:
    """Compute the dispersion and the spectrum I(q, E) along a path.

    Parameters
    ----------
    force_constants
        The set; a polar crystal's non-analytic term is used, with Γ approached along the path.
    path
        The standard path of the crystal by default.
    energy_range
        Outer edges of the energy bins, meV; default: those of `grid_up_to`.
    n_bins
        Number of energy bins.
    resolution
        Default: a constant FWHM of 3 % of the upper end of the range.

    Raises
    ------
    InputError
        If the energy range or the resolution makes no sense, or the spectrum is empty.
    """
    path = standard_path(force_constants.crystal) if path is None else path
    energies = mode_energies(force_constants, path.q, path.direction)
    if energy_range is None:
        grid = grid_up_to(float(energies.max()), n_bins)
    else:
        grid = SpectralGrid(*energy_range, n_bins)
    resolution = default_resolution(grid) if resolution is None else resolution
    spectrum = render(energies, grid, resolution)
    if not spectrum.any():
        raise InputError(
            f"no mode lies between {grid.minimum:g} and {grid.maximum:g} meV",
            f"the modes lie between {energies.min():.2f} and {energies.max():.2f} meV",
            "choose another energy range",
        )
    return Simulation(force_constants, path, energies, grid, resolution, spectrum)


def gamma_energies(force_constants: ForceConstants) -> tuple[FloatArray, str | None]:
    """Return the mode energies at Γ, shape (s,), meV, and the segment along which Γ is approached, as "Γ-X".

    The direction matters in polar crystals only and is None in others: that of the standard path's first segment
    that ends at Γ.
    """
    crystal = force_constants.crystal
    segment = next((s for s in crystal.high_symmetry_path if "Γ" in s), None)
    if force_constants.non_analytic is None or segment is None:
        return mode_energies(force_constants, np.zeros((1, 3)))[0], None
    start, end = (np.array(crystal.high_symmetry_points[label]) for label in segment)
    return mode_energies(force_constants, np.zeros((1, 3)), (end - start)[None])[0], "-".join(segment)


def summarise(simulation: Simulation) -> str:
    """Return what was computed as lines for people, imaginary modes with the worst wave vector."""
    force_constants, grid = simulation.force_constants, simulation.grid
    energies, direction = gamma_energies(force_constants)
    at_gamma = " ".join(f"{abs(x) if abs(x) < TOLERANCE else x:.2f}" for x in energies)
    powers = ("", " E", *(f" E^{k}" for k in range(2, 99)))
    fwhm = " + ".join(f"{c:g}{e}" for c, e in zip(simulation.resolution.fwhm_coefficients, powers, strict=False))
    lines = [
        simulation.crystal.describe(),
        f"{len(force_constants.first)} pairs of atoms from {force_constants.source}, "
        + ("without Born charges" if force_constants.non_analytic is None else "with Born charges"),
        f"energies at Γ{f' (along {direction})' if direction else ''}: {at_gamma} meV; "
        f"highest on the path {simulation.energies.max():.2f} meV",
        f"spectrum from {grid.minimum:g} to {grid.maximum:g} meV in {grid.n_bins} bins, FWHM {fwhm} meV",
    ]
    zone = judge(force_constants)
    where, worst = ("in the zone", (zone.lowest, zone.worst_q))
    if simulation.lowest[0] < zone.lowest:
        where, worst = ("on the path", simulation.lowest)
    if worst[0] < -TOLERANCE:
        q = " ".join(f"{x:.4f}" for x in worst[1])
        lines.append(f"WARNING: imaginary modes; the worst {where} is {-worst[0]:.2f} i meV at q = ({q})")
    return "\n".join(lines)


def bands_csv(simulation: Simulation) -> str:
    """Return the dispersion as CSV text: a row for each point of the path, a column for each branch."""
    path, text = simulation.path, io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    branches = [f"energy{k + 1}_mev" for k in range(simulation.energies.shape[1])]
    table.writerow(["distance_per_angstrom", "q1", "q2", "q3", *branches, "label"])
    labels = dict(path.ticks)
    for k in range(path.n_points):
        numbers = [path.distance[k], *path.q[k], *simulation.energies[k]]
        table.writerow([*(f"{x:.9f}" for x in numbers), labels.get(k, "")])
    return text.getvalue()


def to_mdhisto(simulation: Simulation, provenance: Mapping[str, Any] | None = None) -> MDHisto:
    """Return the spectrum as a histogram for a NeXus file, with the path and its origin in its content.

    Parameters
    ----------
    simulation
        What to write.
    provenance
        What the caller knows: the command line, checksums of the files that were read.
    """
    signal = np.asarray(simulation.spectrum, dtype=float)
    crystal = simulation.crystal
    return MDHisto(
        signal=signal,
        error_squared=np.zeros_like(signal),
        num_events=np.ones_like(signal),
        dimensions=(path_dimension(simulation.path.n_points), energy_dimension(simulation.grid.edges)),
        logs={"run_title": f"simulated I(q,E) of {crystal.formula}, {crystal.space_group_symbol}"},
        content={
            "kind": "simulation",
            "signal": "modes per meV, every mode weighs 1",
            "crystal": {
                "description": crystal.describe(),
                "lattice_angstrom": crystal.lattice.tolist(),
                "positions": crystal.positions.tolist(),
                "symbols": list(crystal.symbols),
                "masses_amu": crystal.masses.tolist(),
                "conventional": crystal.conventional.tolist(),
            },
            "path": simulation.path.to_dict(),
            "grid_mev": asdict(simulation.grid),
            "resolution_fwhm_mev": list(simulation.resolution.fwhm_coefficients),
            "force_constants": Path(simulation.force_constants.source).name,
            "versions": {
                "fcinv": fcinv_core.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("numpy", "phonopy")},
            },
            **(provenance or {}),
        },
        collections={"bands": {"energies": simulation.energies}},
    )


def write_simulation(
    simulation: Simulation, folder: Path, provenance: Mapping[str, Any] | None = None
) -> tuple[Path, ...]:
    """Write bands.csv, bands.png, iqe.nxs and iqe.png into a folder, all or none; return their paths.

    Raises
    ------
    InputError
        If the folder cannot be made or written to.
    """
    from fcinv_core.plotting import material_title, plot_bands, plot_spectrum

    names = ("bands.csv", "bands.png", "iqe.png", "iqe.nxs")
    table, bands, picture, histogram = paths = tuple(Path(folder) / name for name in names)
    path, energies = simulation.path, simulation.energies
    # The folder too: files of force constants have the same few names everywhere.
    source = "/".join(Path(simulation.force_constants.source).parts[-2:])
    title = material_title(simulation.crystal, f"phonons of {source}")
    with ExitStack() as stack:
        temporary = {name: stack.enter_context(replace_when_complete(name)) for name in (table, bands, picture)}
        temporary[table].write_text(bands_csv(simulation), encoding="utf-8")
        plot_bands(temporary[bands], path, energies, title=title)
        plot_spectrum(
            temporary[picture], path, simulation.grid, simulation.spectrum, title=title, energies=energies
        )
        # Last: it renames its own file, and the others follow at once.
        write_mdhisto(histogram, to_mdhisto(simulation, provenance), simulation.crystal)
    return paths
