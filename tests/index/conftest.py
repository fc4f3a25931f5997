"""Where versions are kept."""

import pytest


@pytest.fixture(params=["a folder", "a URL"])
def place(request, tmp_path, monkeypatch):
    """Where versions are kept: on the disk, or where only fsspec reaches."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "a folder":
        return tmp_path / "index"
    import fsspec

    fsspec.filesystem("memory").store.clear()
    return f"memory://index-of-{tmp_path.name}"
