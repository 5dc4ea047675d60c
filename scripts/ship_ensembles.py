"""Make the ensembles that ship with fcinv: force constants of Ge and Nb from the force fields that run here.

    fcinv ensemble --setup chgnet sevennet
    python scripts/ship_ensembles.py [ge] [nb]

Writes fcinv_core/data/ensembles/<crystal>/: POSCAR, one phonopy_params_<member>.yaml.xz a member (force
constants as projected, displacements, forces) and ensemble.json (settings, versions, residuals, verdicts).
Takes about ten minutes on two cores; an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import logging
import lzma
import tempfile
from pathlib import Path

from fcinv_core import files
from fcinv_core.crystal import Crystal, read_structure
from fcinv_core.potentials import EnsembleSummary, run_ensemble, shipped_config

#: Lattice constants at room temperature, Å: all members share the measured lattice.
CRYSTALS = {
    "ge": Crystal.from_cell(
        [[0, 2.829, 2.829], [2.829, 0, 2.829], [2.829, 2.829, 0]],
        [[0, 0, 0], [0.25, 0.25, 0.25]],
        ("Ge", "Ge"),
    ),
    "nb": Crystal.from_cell([[-1.65, 1.65, 1.65], [1.65, -1.65, 1.65], [1.65, 1.65, -1.65]], [[0, 0, 0]], ("Nb",)),
}
DESTINATION = Path(__file__).parent.parent / "fcinv_core" / "data" / "ensembles"


def main() -> None:
    """Make the ensembles named on the command line, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crystals", nargs="*", help=f"some of {', '.join(CRYSTALS)} (default: all)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "fcinv-ship-ensembles",
        help="folder for the full results, kept so that a run can be resumed (default: %(default)s)",
    )
    arguments = parser.parse_args()
    for name in arguments.crystals:
        if name not in CRYSTALS:
            parser.error(f"no ensemble of {name} ships; name some of {', '.join(CRYSTALS)}")
    logging.basicConfig(level=logging.INFO, format="  %(message)s")

    for name in arguments.crystals or CRYSTALS:
        structure = DESTINATION / name / "POSCAR"
        files.write_text(structure, poscar(CRYSTALS[name]))
        summary = run_ensemble(
            read_structure(structure),
            shipped_config(),
            arguments.work / name,
            report=lambda line: print(line, flush=True),
        )
        print(summary.table())
        ship(summary, DESTINATION / name)


def poscar(crystal: Crystal) -> str:
    """Return the conventional cell of a crystal as a POSCAR."""
    lattice, positions, symbols = crystal.conventional_cell()
    kinds = sorted(set(symbols), key=symbols.index)
    rows = [" ".join(f"{x:12.8f}" for x in row) for row in (*lattice, *positions)]
    counts = " ".join(str(symbols.count(kind)) for kind in kinds)
    return "\n".join([crystal.formula, "1.0", *rows[:3], " ".join(kinds), counts, "Direct", *rows[3:]]) + "\n"


def ship(summary: EnsembleSummary, folder: Path) -> None:
    """Compress the force constants of an ensemble into ``folder``, its provenance beside them."""
    for old in folder.glob("phonopy_params_*"):
        old.unlink()
    for path in summary.force_constants_paths:
        with files.replace_when_complete(folder / f"{path.name}.xz") as packed:
            packed.write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    content = json.loads((summary.out / "ensemble.json").read_text(encoding="utf-8"))
    content["made_by"] = "scripts/ship_ensembles.py"
    files.write_text(folder / "ensemble.json", json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
