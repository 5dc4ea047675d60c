"""The files of a look into a latent space: numbers as JSON, pictures for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fcinv_core
from fcinv_core.files import replace_folder_when_complete, write_text
from fcinv_core.latent.activity import ACTIVE
from fcinv_core.latent.encoding import Latents
from fcinv_core.latent.figures import plot_activity, plot_force_constants, plot_kinds, plot_ray
from fcinv_core.latent.study import LatentStudy

#: Names of the files; a ray has one for each force constant.
LATENT, ACTIVITY, FORCE_CONSTANTS, KINDS = "latent.json", "activity.png", "force_constants.png", "measurements.png"
_DIGITS = 4


def write_latent(study: LatentStudy, folder: Path, provenance: Mapping[str, Any]) -> None:
    """Write the folder, whole or not at all.

    Raises
    ------
    InputError
        If the folder cannot be written to, or holds something else.
    """
    with replace_folder_when_complete(folder, LATENT) as temporary:
        content = json.dumps(latent_content(study, provenance), indent=1, ensure_ascii=False, allow_nan=False)
        write_text(temporary / LATENT, f"{content}\n")
        plot_activity(study, temporary / ACTIVITY)
        plot_force_constants(study, temporary / FORCE_CONSTANTS)
        plot_kinds(study, temporary / KINDS)
        for ray in study.rays:
            plot_ray(study, ray, temporary / f"ray_FC{ray.number}.png")


def latent_content(study: LatentStudy, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of latent.json: plain types, units in the keys."""
    model, clean = study.model, study.activity["clean"]
    return {
        "format": "fcinv latent space",
        "schema": 1,
        "spectra": len(study.values),
        "dimensions": len(clean.variance),
        "active_rule": f"variance over spectra of the latent mean > {ACTIVE:g}",
        "active": int(clean.active.sum()),
        "activity": {
            kind: {
                "active": int(activity.active.sum()),
                "variance_of_mean": _rounded(activity.variance),
                "mean_log_variance": _rounded(activity.log_variance),
                "divergence_nats": _rounded(activity.divergence),
            }
            for kind, activity in study.activity.items()
        },
        "linear_r2": {
            f"FC{k}": round(float(r2), _DIGITS) for k, r2 in zip(model.retained, study.linear, strict=True)
        },
        "plane": study.plane.method,
        "border_of_clean_spectra": round(study.border, _DIGITS),
        "measurements": {
            kind: {"median_shift_in_clean_sigma": _median(study.shift(kind)), **_place(study, latents)}
            for kind, latents in study.latents.items()
        },
        "folded": {
            one.name: {
                "whole": _place(study, one.whole),
                "single_runs": {"runs": list(one.numbers), **_place(study, one.runs)} if one.numbers else None,
            }
            for one in study.folded
        },
        "rays": {
            f"FC{ray.number}": {
                "values_ev_per_angstrom2": _rounded(ray.values),
                "direction": _rounded(ray.direction),
                "share_of_change_on_straight_line": round(ray.explained(ray.straight), _DIGITS),
                "share_of_change_encoded_and_decoded": round(ray.explained(ray.encoded), _DIGITS),
            }
            for ray in study.rays
        },
        "provenance": {**provenance, "fcinv": fcinv_core.__version__},
    }


def _place(study: LatentStudy, latents: Latents) -> dict[str, float]:
    """Where spectra lie beside the cloud of the clean ones, and how sure the encoder is of it."""
    active, distance = study.activity["clean"].active, study.distance(latents)
    return {
        "median_distance": _median(distance),
        "share_outside_border": round(float((distance > study.border).mean()), _DIGITS),
        "median_encoder_sigma": _median(np.exp(latents.log_variance[:, active] / 2)),
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), _DIGITS) for value in values]


def _median(values: Any) -> float:
    return round(float(np.median(values)), _DIGITS)
