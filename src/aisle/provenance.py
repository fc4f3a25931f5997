"""What made a result: versions, source, and the content of the files it was made from."""

import hashlib
import platform
from collections.abc import Collection, Mapping
from importlib import metadata
from pathlib import Path

from aisle.checksum import file_sha256
from aisle.data.progress import meter

LIBRARIES = ("faiss-gpu", "faiss-cpu", "implicit", "numpy", "polars", "torch", "transformers")
"""Named with their versions in every manifest, where they are installed."""


def versions() -> dict[str, str]:
    """Versions of aisle, Python and the libraries that shape results; nothing is imported for it."""
    found = {"aisle": metadata.version("aisle"), "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def source_digest(components: Collection[str]) -> str:
    """SHA-256 over what aisle ships of some components (code, mappings, templates) and of the face's modules.

    The command line is not in it: it only asks for stages.
    """
    root = Path(__file__).parent
    inside = (path for name in components for path in (root / name).rglob("*"))
    shipped = (path for path in inside if path.is_file() and path.suffix != ".pyc")
    paths = [*shipped, *root.glob("*.py")]
    return digest_of({path.relative_to(root).as_posix(): file_sha256(path) for path in paths})


def files_digest(folder: Path, names: Collection[str]) -> str:
    """SHA-256 over names and contents of files in `folder`; it does not change when the folder is moved."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    found = {}
    with meter(f"reading {folder.name}", sum(sizes.values())) as counter:
        for name, size in sizes.items():
            found[name] = file_sha256(folder / name)
            counter.advance(size)
    return digest_of(found)


def digest_of(values: Mapping[str, object]) -> str:
    """SHA-256 over names and values, whatever their order."""
    lines = sorted(f"{name}\0{value}\n" for name, value in values.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
