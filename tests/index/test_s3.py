"""Versions in a bucket, through s3fs and a server that speaks S3 over HTTP."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from planted_index import angles, circle

from aisle.index.errors import IndexFault
from aisle.index.publishing import collect, rollback
from aisle.index.rebuild import Source, rebuild
from aisle.index.rebuild_settings import GateSettings, RebuildSettings
from aisle.index.settings import IndexSettings
from aisle.index.updates import compact, update
from aisle.index.versions import Versions

CPU = IndexSettings(device="cpu")
JOB = RebuildSettings(keep=2, gate=GateSettings(min_overlap=0, max_count_drift=1))
PLACE = "s3://shop/indices/products"


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A server on this machine, and the environment in which clients find it."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    host, port = running.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "shop",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield
    running.stop()


@pytest.fixture
def bucket(server: None) -> Iterator[str]:
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True)
    files.mkdir("shop")
    yield PLACE
    files.invalidate_cache()
    files.rm("shop", recursive=True)


def ids(versions: Versions) -> list[str]:
    stored = versions.open().stored
    return stored.ids.series().gather(stored.rows).to_list()


def test_the_life_of_an_index(bucket: str, tmp_path: Path) -> None:
    """Built, changed, compacted, rolled back and swept by one machine, read by another."""
    writer, reader = (Versions(bucket, tmp_path / name) for name in ("writer", "reader"))
    with pytest.raises(IndexFault, match="a published version"):
        reader.open()
    first = rebuild(writer, circle(20), CPU, JOB).version
    opened = reader.open()
    assert (opened.version, len(opened.stored.index)) == (first, 20)
    np.testing.assert_array_equal(opened.stored.vectors, circle(20).encode(circle(20).texts))
    assert rebuild(writer, circle(20), CPU, JOB).status == "unchanged"
    again = rebuild(writer, circle(20, changed=3), CPU, JOB)
    assert (again.status, again.encoded) == ("published", 3)
    new = Source(circle(1).ids + "-new", ["10"], angles, circle(1).encoder, circle(1).model)
    update(writer, new, ["i0019"], JOB)
    assert ids(reader) == [f"i{n:04d}" for n in range(19)] + ["i0000-new"]
    with writer.writing():
        assert rollback(writer).version == first
    assert reader.open().version == first
    with writer.writing():
        rollback(writer, again.version)
    assert ids(reader)[-1] == "i0000-new"
    third = compact(writer, JOB).version
    assert ids(reader)[-1] == "i0000-new"
    assert [one.damage for one in reader.listing(check="all")] == [None, None]
    with writer.writing():
        assert collect(writer, 1) == [again.version]
    assert reader.names() == [third]
    assert writer.storage.deltas() == []
    assert opened.stored.ids.of(np.array([0])) == ["i0000"]  # what is open stays


def test_one_machine_writes_at_a_time(bucket: str, tmp_path: Path) -> None:
    one, other = (Versions(bucket, tmp_path / name) for name in ("one", "other"))
    with one.writing(), pytest.raises(IndexFault, match="nobody else is writing"):
        rebuild(other, circle(20), CPU, JOB)
    rebuild(other, circle(20), CPU, JOB)


def test_a_killed_writer_does_not_keep_its_machine_out(bucket: str, tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from aisle.index.versions import Versions\n"
        "with Versions(sys.argv[1], Path(sys.argv[2])).writing():\n"
        "    print('in', flush=True); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run(
        [sys.executable, "-c", program, bucket, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert died.stdout.strip() == "in"
    with pytest.raises(IndexFault, match="nobody else is writing"):
        rebuild(Versions(bucket, tmp_path / "another"), circle(20), CPU, JOB)
    rebuild(Versions(bucket, tmp_path), circle(20), CPU, JOB)


def test_a_flipped_bit_in_the_bucket_and_one_on_the_way(bucket: str, tmp_path: Path) -> None:
    versions = Versions(bucket, tmp_path)
    name = rebuild(versions, circle(20), CPU, JOB).version
    path = f"{versions.storage.root}/{name}/index.faiss"
    whole = versions.storage.files.cat_file(path)
    versions.open().close()
    (tmp_path / "fetched" / name / "index.faiss").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    versions.open().close()
    versions.storage.files.pipe_file(path, whole[:-1] + bytes([whole[-1] ^ 1]))
    assert versions.listing(check="all")[0].damage == "index.faiss has changed"


def test_a_store_that_does_not_answer(server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IndexFault, match="a published version"):
        Versions("s3://no-such-bucket/index", tmp_path).open()
    with pytest.raises(IndexFault, match="fsspec can open"):
        Versions("unknown://bucket/index", tmp_path)
    versions = Versions(PLACE, tmp_path)
    monkeypatch.setattr(versions.storage.files, "cat_file", lambda path: 1 / 0)
    with pytest.raises(IndexFault, match=r"a store that answers(.|\n)*ZeroDivisionError"):
        versions.open()
