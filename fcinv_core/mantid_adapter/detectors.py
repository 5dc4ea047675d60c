"""Solid angles of detectors from a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fcinv_core.folding.normalisation import solid_angles_by_detector


def workspace_solid_angles(workspace: Any) -> Mapping[int, float]:
    """Return detector id to solid angle of a workspace with the solid angle, or a vanadium run, of each spectrum.

    Parameters
    ----------
    workspace
        MatrixWorkspace with its detectors.
    """
    detectors = [
        [int(number) for number in workspace.getSpectrum(k).getDetectorIDs()]
        for k in range(workspace.getNumberHistograms())
    ]
    return solid_angles_by_detector(
        np.array(workspace.extractY(), dtype=float),
        np.array([len(own) for own in detectors]),
        np.array([number for own in detectors for number in own], dtype=np.int64),
    )
