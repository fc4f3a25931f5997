"""What all tests share."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # planted worlds: `from worlds import ...`

# shapes in signatures are checked at each call while tests run
install_import_hook(["aisle.index", "aisle.retriever"], "beartype.beartype")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are not spelt out: a compressed file holds the time, and all processes must name tests alike."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real data sets; tests that need it are skipped where it is missing."""
    for place in (os.environ.get("AISLE_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    pytest.skip("the real data is not here: set AISLE_DATA to its folder")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)
