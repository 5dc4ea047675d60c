"""What all tests share: where the reference data lie."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of reference data beside the project; a test that needs it is skipped where it is missing."""
    if not SHARED.is_dir():
        pytest.skip("reference data folder ../shared/data is not there")
    return SHARED
