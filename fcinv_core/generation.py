"""Stage I in one call: from files of force constants to a training set, its table and its pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcinv_core.crystal import IntArray, read_structure
from fcinv_core.dynamics import gpu
from fcinv_core.errors import InputError
from fcinv_core.files import write_text
from fcinv_core.force_constants.phonopy_files import read_force_constants
from fcinv_core.prior import Member, Prior, prior_from_members
from fcinv_core.qpath import DEFAULT_POINTS, standard_path
from fcinv_core.sensitivity import Sensitivity, retained, sensitivity
from fcinv_core.spectrum import DEFAULT_BINS, Resolution
from fcinv_core.stability import TOLERANCE
from fcinv_core.training_set import TrainingSet, generate
from fcinv_core.work_units import unit_map

#: Names of files in a folder that are taken for members of an ensemble.
MEMBER_PATTERNS = ("*phonopy_params*.yaml", "*phonopy_params*.yaml.xz")


@dataclass(frozen=True)
class GenerationSettings:
    """What a user can choose about a training set; see `fcinv generate --help`.

    Attributes
    ----------
    n
        Number of samples.
    retain
        Which force constants are drawn over their ranges: a number, "all" or "auto".
    others
        What becomes of the rest: "prior" or "reference".
    seed
        Seed of the drawing.
    n_points
        Points along the standard path.
    energy_range, n_bins, resolution
        Energy bins (meV) and resolution; None for defaults that fit the samples.
    supercell, born
        For force-constant files that do not hold them.
    spread
        Relative half-width of the ranges when there is one set only.
    store_spectra
        Write spectra too.
    dask
        Address of a Dask scheduler, or None.
    """

    n: int = 10_000
    retain: str = "8"
    others: str = "prior"
    seed: int = 0
    n_points: int = DEFAULT_POINTS
    energy_range: tuple[float, float] | None = None
    n_bins: int = DEFAULT_BINS
    resolution: Resolution | None = None
    supercell: IntArray | None = None
    born: Path | None = None
    spread: float | None = None
    store_spectra: bool = False
    dask: str | None = None


def generate_training_set(
    structure: Path,
    force_constants: Sequence[Path],
    out: Path,
    settings: GenerationSettings,
    *,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] = lambda done, total: None,
    between: Callable[[], None] = lambda: None,
) -> TrainingSet:
    """Read an ensemble, analyse it, draw a training set, and write it with its table and pictures.

    Beside ``out`` (training.h5) come training_force_constants.csv, training_ensemble.png,
    training_sensitivity.png and training_examples.png. ``progress`` is told how many sets are drawn of how many;
    ``between`` is called between files that are read and written, so that a user need not wait who cancels.

    Raises
    ------
    InputError
        If a file cannot be used, or the ensemble gives no stable sets.
    """
    from fcinv_core.training_figures import plot_ensemble, plot_examples, plot_sensitivity

    if settings.n < 1:
        raise InputError(
            f"{settings.n} samples cannot be drawn", "a training set needs at least one", "ask for more"
        )
    crystal = read_structure(structure)
    say(crystal.describe())
    members = []
    for file in member_files(force_constants):
        between()
        members.append(
            read_force_constants(
                file, crystal, structure=structure, supercell=settings.supercell, born=settings.born
            )
        )
    between()
    prior = prior_from_members(members, spread=settings.spread)
    for member in prior.members:
        say(f"  {_verdict(member)}")
    path = standard_path(crystal, settings.n_points)
    found = sensitivity(prior, path)
    chosen = retained(prior, settings.retain, found)
    say(force_constant_table(prior, found, chosen))
    with unit_map(settings.dask) as map_units:
        training = generate(
            out,
            prior,
            path,
            chosen,
            found,
            settings.n,
            seed=settings.seed,
            others=settings.others,
            energy_range=settings.energy_range,
            n_bins=settings.n_bins,
            resolution=settings.resolution,
            store_spectra=settings.store_spectra,
            device=gpu(),
            map_units=map_units,
            progress=progress,
        )
    write_text(out.with_name(f"{out.stem}_force_constants.csv"), force_constant_csv(prior, found, chosen))
    between()
    plot_ensemble(prior, path, out.with_name(f"{out.stem}_ensemble.png"))
    between()
    plot_sensitivity(prior, found, chosen, out.with_name(f"{out.stem}_sensitivity.png"))
    between()
    plot_examples(training, out.with_name(f"{out.stem}_examples.png"))
    return training


def _verdict(member: Member) -> str:
    name, found = Path(member.name).name, member.stability
    if found.stable:
        asymmetry = 100 * member.asymmetry
        return f"{name}: stable" + (f", {asymmetry:.2g} % asymmetry removed" if asymmetry > 1e-4 else "")
    where = " ".join(f"{x:.3f}" for x in found.worst_q)
    waves = "" if found.lowest_commensurate < -TOLERANCE else ", none where waves fit into the supercell"
    return f"{name}: left out, imaginary mode of {-found.lowest:.2f} meV at q = ({where}){waves}"


def member_files(given: Sequence[Path]) -> list[Path]:
    """Return the files of an ensemble: those named, and for a folder the phonopy yaml files in it.

    Raises
    ------
    InputError
        If a folder holds none.
    """
    files: list[Path] = []
    for path in given:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for pattern in MEMBER_PATTERNS for file in path.glob(pattern))
        if not inside:
            raise InputError(
                f"the folder {path} holds no force constants",
                f"files named {' or '.join(MEMBER_PATTERNS)} were expected",
                "make them with `fcinv ensemble`, or name the files",
            )
        files += inside
    return files


def force_constant_table(prior: Prior, found: Sensitivity, chosen: IntArray) -> str:
    """Return the force constants that are retained as lines for people, FC0 first."""
    width = max(len(prior.labels[k]) for k in chosen)
    lines = [f"  {'':5} {'':{width}}  {'reference':>9}  {'range of the ensemble':>23}  {'moves dispersion':>16}"]
    lines += [
        f"  FC{k:<3} {prior.labels[k]:{width}}  {prior.mean[k]:9.4f}"
        f"  {prior.lower[k]:10.4f} .. {prior.upper[k]:9.4f}  {found.rms[k]:8.2f} meV rms"
        for k in chosen
    ]
    rest = prior.n_force_constants - len(chosen)
    return "\n".join([*lines, f"  and {rest} more, in eV/Å² all"])


def force_constant_csv(prior: Prior, found: Sensitivity, chosen: IntArray) -> str:
    """Return the table of all force constants as CSV text."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        [
            "index", "label", "shell", "distance_angstrom", "component", "reference_ev_per_angstrom2",
            "lower", "upper", "prior_sigma", "rms_change_mev", "largest_change_mev", "retained",
        ]
    )  # fmt: skip
    for k, parameter in enumerate(prior.order):
        element = prior.parametrisation.elements[parameter]
        numbers = (prior.mean[k], prior.lower[k], prior.upper[k], prior.sigma[k], found.rms[k], found.largest[k])
        table.writerow(
            [
                f"FC{k}",
                element.label,
                element.shell,
                f"{element.distance:.5f}",
                element.component,
                *(f"{x:.6g}" for x in numbers),
                int(np.isin(k, chosen)),
            ]
        )
    return text.getvalue()
