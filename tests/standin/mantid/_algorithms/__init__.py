"""What those of Mantid's own algorithms do that tests run."""

from mantid._algorithms import (
    convert_to_md,
    instruments,
    logs_and_samples,
    md_files,
    md_workspaces,
    processed_files,
    scripts,
    workspaces,
)

__all__ = [
    "convert_to_md",
    "instruments",
    "logs_and_samples",
    "md_files",
    "md_workspaces",
    "processed_files",
    "scripts",
    "workspaces",
]
