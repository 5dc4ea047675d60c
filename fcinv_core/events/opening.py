"""Opening event files of any kind that is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import ParseError

import h5py
import numpy as np
from numpy.typing import ArrayLike

from fcinv_core.crystal import check_readable
from fcinv_core.errors import InputError
from fcinv_core.events.mdevent_file import open_mdevent
from fcinv_core.events.mdhisto_file import open_mdhisto
from fcinv_core.events.nxspe_file import open_nxspe
from fcinv_core.events.source import EventSource, join_sources
from fcinv_core.hdf5 import open_hdf5

WANTED = "an event file (SaveMD .nxs or .nxspe)"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def open_events(
    paths: Path | str | Sequence[Path | str],
    *,
    ub: ArrayLike | None = None,
    incident_energy: float | None = None,
    goniometer: ArrayLike | None = None,
    psi: float | Sequence[float] | None = None,
    normalisation: Path | str | None = None,
) -> EventSource:
    """Open one or several event files as one source; events stay on disk.

    Parameters
    ----------
    paths
        Files of Mantid's SaveMD (MDEvent, MDHisto) or .nxspe.
    ub
        Shape (3, 3), 1/Å without the 2 pi: takes the place of the UB in the files. Needed for .nxspe
        (:func:`ub_from_vectors` makes it of lattice, u and v) and for files without a sample's lattice.
    incident_energy
        meV: takes the place of the one in the files.
    goniometer
        Shape (3, 3), Q_lab = R Q_sample: for MD files without experiment info.
    psi
        Degrees: takes the place of psi in .nxspe files, one for all or one for each.
    normalisation
        MDHisto file with the exposure of the voxels of one MDHisto file that holds data not divided by it
        (:func:`open_mdhisto`).

    Raises
    ------
    InputError
        If a file is missing, empty, truncated, of another kind, not four-dimensional, in an unknown frame or
        without events, if UB, incident energy or psi are neither in a file nor given, or if a normalisation does
        not fit.
    """
    files = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    if not files:
        raise InputError("no event files are named", f"{WANTED} was expected", "name at least one")
    if incident_energy is not None and not (np.isfinite(incident_energy) and incident_energy > 0):
        raise InputError(f"incident energy {incident_energy:g}", "a positive number was expected", "give it in meV")
    for given, what in ((ub, "UB matrix"), (goniometer, "goniometer matrix")):
        matrix = np.eye(3) if given is None else np.asarray(given, dtype=float)
        if matrix.shape != (3, 3) or not abs(np.linalg.det(matrix)) > 1e-10:
            raise InputError(f"the {what} given is not one", "3 × 3 independent numbers were expected", "check it")
    angles = [psi] * len(files) if psi is None or isinstance(psi, (int, float)) else list(psi)
    if len(angles) != len(files):
        raise InputError(
            f"{len(angles)} psi angles for {len(files)} files",
            "one for each was expected",
            "give one for each file",
        )
    exposure = None if normalisation is None else Path(normalisation)
    if exposure is not None:
        if len(files) > 1:
            raise InputError(
                f"one normalisation for {len(files)} files", "it belongs to one of them", "fold them one by one"
            )
        check_readable(exposure, "the normalisation of a histogram (SaveMD .nxs)")
    return join_sources(
        [
            _open(path, ub, incident_energy, goniometer, angle, exposure)
            for path, angle in zip(files, angles, strict=True)
        ]
    )


def _open(
    path: Path,
    ub: ArrayLike | None,
    incident_energy: float | None,
    goniometer: ArrayLike | None,
    psi: float | None,
    normalisation: Path | None,
) -> EventSource:
    check_readable(path, WANTED)
    try:
        kind = _kind(path)
        if normalisation is not None and kind != "MDHistoWorkspace":
            raise InputError(
                f"{normalisation} is the normalisation of a histogram",
                f"{path} holds events, whose normalisation follows from their detectors",
                "leave it out, or give MDNorm's OutputDataWorkspace",
            )
        if kind == "nxspe":
            return open_nxspe(path, ub=ub, incident_energy=incident_energy, psi=psi)
        if kind == "MDEventWorkspace":
            return open_mdevent(path, ub=ub, incident_energy=incident_energy, goniometer=goniometer)
        return open_mdhisto(
            path, ub=ub, incident_energy=incident_energy, goniometer=goniometer, normalisation=normalisation
        )
    except (OSError, KeyError, ParseError) as error:
        with open(path, "rb") as stream:
            is_hdf5 = stream.read(8) == HDF5_SIGNATURE
        if is_hdf5:
            raise InputError(
                f"{path} is damaged or truncated", str(error).strip("'\"").rstrip("."), "copy or save it again"
            ) from error
        raise InputError(f"{path} is not an HDF5 file", f"{WANTED} was expected", "check the path") from error


def _kind(path: Path) -> str:
    with open_hdf5(path) as file:
        for kind in ("MDEventWorkspace", "MDHistoWorkspace"):
            if kind in file:
                return kind
        if any(isinstance(file[key], h5py.Group) and "NXSPE_info" in file[key] for key in file):
            return "nxspe"
        holds = ", ".join(file) or "nothing"
    do = "convert the reduced runs with ConvertToMD and save with SaveMD"
    raise InputError(f"{path} is not an MD file", f"it holds {holds}, and {WANTED} was expected", do)
