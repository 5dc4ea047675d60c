"""What importing fcinv brings in, and what it leaves out."""

import subprocess
import sys


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_core_never_imports_mantid() -> None:
    modules = "import pkgutil, importlib, fcinv_core"
    walk = (
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(fcinv_core.__path__, 'fcinv_core.')"
        " if not m.name.endswith(('__main__', 'potentials.worker')) and 'mantid_adapter' not in m.name]"
    )
    assert "mantid" not in loaded_by(f"{modules}; {walk}")


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import fcinv_core") & {"numpy", "torch", "phonopy", "numba", "matplotlib", "scipy"}
