"""fcinv mantid-setup: how a Mantid gets to know the algorithms of fcinv, and whether it does."""

from __future__ import annotations

import argparse
import importlib.util
import site
from typing import Any

DESCRIPTION = """\
Print the two lines that make Mantid load the algorithms of fcinv when it starts. They belong into
Mantid.user.properties, which fcinv does not edit. Run it with the Python of Mantid, where fcinv is installed.

With --check, a Mantid is started beside, what it needs is imported after it in the order in which Mantid would, and
what it would register is listed. The exit code is 1 if something stands in the way."""

EPILOG = """\
examples:
  fcinv mantid-setup
  fcinv mantid-setup --check
  PYTHONPATH=DIR/lib mantidpython -m fcinv_core mantid-setup --check     (installed by CMake into DIR)"""


def add_parser(subparsers: Any) -> None:
    """Add ``fcinv mantid-setup`` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "mantid-setup",
        help="make Mantid load the algorithms of fcinv",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--check", action="store_true", help="start a Mantid and say what it sees")


def run(arguments: argparse.Namespace) -> int:
    """Do what the command line asks; return the exit code."""
    from fcinv_core.mantid_start_up import MODULE_KEY, PLUGIN_KEY, start_up
    from fcinv_core.shipped import core_folder, plugin_folder
    from fcinv_core.verdict import Status, worst

    plugins, modules = plugin_folder(), core_folder()
    print("Add these two lines to Mantid.user.properties (fcinv does not edit it; usually it is in ~/.mantid).")
    print("Where a line of that name is there already, add the folder to it after a semicolon.")
    print(f"{PLUGIN_KEY}={plugins.as_posix()}")
    print(f"{MODULE_KEY}={modules.as_posix()}")
    if str(modules) in (*site.getsitepackages(), site.getusersitepackages()) and not _has_mantid():
        print(
            "But Mantid is not in this environment, whose packages would get in the way of its own: install fcinv "
            "with the Python of Mantid, and run this there."
        )
    if not arguments.check:
        return 0
    findings = start_up(plugins)
    print()
    for one in findings:
        print(f"{one.status.value:<5} {one.name:<10} {one.sentence}")
    return 1 if worst(findings) is Status.BAD else 0


def _has_mantid() -> bool:
    return importlib.util.find_spec("mantid") is not None
