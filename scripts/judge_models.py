"""Judge trained models again, without training them: scores, calibration, and what they take for unusual.

    python scripts/judge_models.py TRAINING.h5 MODEL_DIR [MODEL_DIR ...] [--threads N]

`fcinv train` does the same at its end; this is for when what is judged has changed since. Card, README and usual
features of the models are written anew, their weights stay as they are. TRAINING.h5 is what they were trained on.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import torch

from fcinv_core.errors import InputError
from fcinv_core.networks.judging import judge
from fcinv_core.networks.signs import SIGNS
from fcinv_core.training_set import TrainingSet


def main() -> int:
    """Judge what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("training", type=Path, metavar="TRAINING.h5", help="what `fcinv generate` wrote")
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL_DIR", help="what `fcinv train` wrote")
    parser.add_argument("--threads", type=int, metavar="N", help="threads to use (default: all cores)")
    arguments = parser.parse_args()
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    try:
        training = TrainingSet.open(arguments.training)
        for folder in arguments.models:
            started = time.process_time()
            model = judge(folder, training)
            measured, places = model.card["tests"]["measured"], model.card["targets"]["retained"]
            r2 = "  ".join(
                f"FC{number} {measured['r2'][place]:.2f}"
                for number, place in zip(model.retained, places, strict=True)
            )
            print(f"{folder}: R² on measurements of the test part: {r2}")
            print("  unusual beyond " + ", ".join(f"{sign} {model.largest[sign]:.3g}" for sign in SIGNS))
            print(f"  processor time {time.process_time() - started:.0f} s", flush=True)
    except InputError as error:
        print(f"judge_models.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
