"""Downloads against a server on this machine that cuts, changes, refuses and lies."""

import base64
import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from aisle.data import download as module
from aisle.data.download import download
from aisle.data.errors import InputError
from aisle.data.fetch import AMAZON_2023, MCAULEY, fetch

CONTENT = gzip.compress(os.urandom(300_000), mtime=0)
OTHER = gzip.compress(os.urandom(200_000), mtime=0)


class Server(ThreadingHTTPServer):
    """Serves `files`; the attributes say how it misbehaves."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {
            "/raw/review_categories/All_Beauty.jsonl.gz": CONTENT,
            "/raw/meta_categories/meta_All_Beauty.jsonl.gz": OTHER,
            "/file.gz": CONTENT,
        }
        self.etag: str | None = '"one"'
        self.cuts: list[int] = []  # bytes after which to hang up, one an answer
        self.statuses: list[int] = []  # statuses to answer instead, one an answer
        self.refusal: dict[str, str] = {}  # headers of these answers
        self.extra: dict[str, str] = {}
        self.pause = 0.0
        self.ignores_if_range = False
        self.ranges: list[str | None] = []
        self.gets = Counter[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        """Keep test output quiet."""

    def do_GET(self) -> None:
        site = self.server
        asked = self.headers.get("Range")
        site.gets[self.path] += 1
        site.ranges.append(asked)
        time.sleep(site.pause)
        if site.statuses:
            return self.refuse(site.statuses.pop(0), site.refusal)
        if self.path not in site.files:
            return self.refuse(404)
        content, start = site.files[self.path], 0
        fresh = site.ignores_if_range or self.headers.get("If-Range") == site.etag
        if asked and fresh:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                return self.refuse(416, {"Content-Range": f"bytes */{len(content)}"})
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if site.etag:
            self.send_header("ETag", site.etag)
        for name, value in site.extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = site.cuts.pop(0) if site.cuts else None
        self.wfile.write(content[start:][:cut])
        return None

    def refuse(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "BACKOFF", 0.001)
    with Server() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield site
        site.shutdown()


def test_all_categories_are_known() -> None:
    assert len(set(AMAZON_2023)) == 33 + 1
    assert MCAULEY == "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/"


def test_reviews_and_metadata_arrive_whole(server: Server, tmp_path: Path) -> None:
    files = fetch("amazon-2023:all beauty", tmp_path / "beauty", base_url=server.url)
    assert [file.name for file in files] == ["All_Beauty.jsonl.gz", "meta_All_Beauty.jsonl.gz"]
    assert [file.read_bytes() for file in files] == [CONTENT, OTHER]
    note = json.loads((tmp_path / "beauty/.fetch/All_Beauty.jsonl.gz.json").read_text())
    assert note["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert note["size"] == len(CONTENT)


def test_what_is_there_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetch("amazon-2023:All_Beauty", tmp_path, base_url=server.url)
    assert set(server.gets.values()) == {1}


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("amazon-2023:All_Beuty", "All_Beauty"),
        ("amazon-2023:Toys", "Toys_and_Games"),
        ("amazon-2023:zzzz", "Video_Games"),
        ("movielens", "amazon-2023:All_Beauty"),
    ],
)
def test_unknown_names_get_a_suggestion(asked: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        fetch(asked, tmp_path)
    assert hint in caught.value.fix


def test_a_cut_connection_resumes_at_the_right_byte(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000]
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_later_run_resumes_what_an_earlier_one_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.gz"
    server.cuts = [100_000]
    with monkeypatch.context() as once:
        once.setattr(module, "ATTEMPTS", 1)
        with pytest.raises(InputError, match="goes on where it stopped"):
            download(server.url + "/file.gz", target)
    assert not target.exists()
    assert download(server.url + "/file.gz", target).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


@pytest.mark.parametrize("ignores", [False, True], ids=["if-range honoured", "if-range ignored"])
def test_a_file_that_changed_meanwhile_starts_anew(ignores: bool, server: Server, tmp_path: Path) -> None:
    target = tmp_path / "file.gz"
    part, note = tmp_path / ".fetch/file.gz.part", tmp_path / ".fetch/file.gz.json"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    note.write_text(json.dumps({"url": server.url + "/file.gz", "etag": '"one"', "size": len(CONTENT)}))
    server.etag, server.ignores_if_range = '"two"', ignores
    server.files["/file.gz"] = OTHER
    assert download(server.url + "/file.gz", target).read_bytes() == OTHER
    assert server.ranges[0] == "bytes=1000-"


def test_without_a_validator_a_cut_starts_anew(server: Server, tmp_path: Path) -> None:
    server.etag, server.cuts = None, [1000]
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.ranges == [None, None]


def test_a_weak_etag_is_no_ground_to_resume(server: Server, tmp_path: Path) -> None:
    server.etag, server.cuts = 'W/"one"', [1000]
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.ranges == [None, None]


@pytest.mark.parametrize("extra", [b"", b"more than the file"], ids=["complete", "too long"])
def test_a_part_of_full_length_or_more(extra: bytes, server: Server, tmp_path: Path) -> None:
    part, note = tmp_path / ".fetch/file.gz.part", tmp_path / ".fetch/file.gz.json"
    part.parent.mkdir()
    part.write_bytes(CONTENT + extra)
    note.write_text(json.dumps({"url": server.url + "/file.gz", "etag": '"one"', "size": len(CONTENT)}))
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.gets["/file.gz"] == (2 if extra else 1)


def test_passing_trouble_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429, 500]
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.gets["/file.gz"] == 3 + 1


def test_each_retry_is_said_with_its_reason_and_its_wait(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waits.append)
    monkeypatch.setattr(module, "BACKOFF", 1.0)
    server.statuses, server.cuts = [503, 500], [100_000]
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    said = [record.getMessage() for record in caplog.records]
    assert said[:2] == [
        f"file.gz: status {status} from {server.url}/file.gz; trying again in {wait} s"
        for status, wait in ((503, 1), (500, 2))
    ]
    assert said[2].startswith("file.gz: RemoteProtocolError: peer closed connection")
    assert said[2].endswith("; trying again in 1 s")
    assert [wait for wait in waits if wait >= 1] == [1, 2, 1]


def test_the_server_may_ask_for_a_wait(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.statuses, server.refusal = [429], {"Retry-After": "0"}
    download(server.url + "/file.gz", tmp_path / "file.gz")
    assert caplog.messages == [f"file.gz: status 429 from {server.url}/file.gz; trying again in 0 s"]


def test_lasting_trouble_is_given_up(server: Server, tmp_path: Path) -> None:
    server.statuses = [503] * 99
    with pytest.raises(InputError, match="503"):
        download(server.url + "/file.gz", tmp_path / "file.gz")
    assert server.gets["/file.gz"] == module.ATTEMPTS


def test_a_missing_file_is_said_at_once(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="status 404"):
        download(server.url + "/none.gz", tmp_path / "none.gz")
    assert server.gets["/none.gz"] == 1
    assert not (tmp_path / "none.gz").exists()


@pytest.fixture
def closed_port() -> str:
    """Address of a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_server_that_is_not_there_is_soon_given_up(
    closed_port: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="check the network") as caught:
        download(closed_port + "/file.gz", tmp_path / "file.gz")
    assert 1 + 2 <= time.monotonic() - started < module.UNREACHED
    assert "ConnectError" in caught.value.found
    assert len(caplog.messages) == 2
    for message, wait in zip(caplog.messages, (1, 2), strict=True):
        assert message.startswith("file.gz: ConnectError: ")
        assert message.endswith(f"; trying again in {wait} s")


def test_a_server_that_was_reached_once_is_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [module.PassingError("status 503"), *[httpx.ConnectError("refused")] * 3]
    really_try = module._one_try

    def one_try(*arguments: Any) -> None:
        if failures:
            raise failures.pop(0)
        really_try(*arguments)

    waits: list[float] = []
    monkeypatch.setattr(module, "_one_try", one_try)
    monkeypatch.setattr(module, "BACKOFF", 1.0)
    monkeypatch.setattr(module.time, "sleep", waits.append)
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert [wait for wait in waits if wait >= 1] == [1, 2, 4, 8]  # longer than `UNREACHED`


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="an http address"):
        download("gopher://127.0.0.1/file.gz", tmp_path / "file.gz")


def b64(algorithm: str, content: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-MD5", "{md5}"),
        ("Digest", "sha-256={sha256}"),
        ("Digest", "unixsum=30637, md5={md5}"),
        ("Repr-Digest", "sha-256=:{sha256}:"),
        ("Content-Digest", "sha-512=:{sha512}:"),
    ],
)
def test_checksums_that_the_server_sends_are_used(
    header: str, value: str, server: Server, tmp_path: Path
) -> None:
    for content, holds in ((CONTENT, True), (OTHER, False)):
        sums = {name: b64(name, content) for name in ("md5", "sha256", "sha512")}
        server.extra = {header: value.format(**sums)}
        target = tmp_path / f"{holds}" / "file.gz"
        if holds:
            assert download(server.url + "/file.gz", target).exists()
        else:
            with pytest.raises(InputError, match="run it again"):
                download(server.url + "/file.gz", target)
            assert not target.exists()
            assert not list(target.parent.glob(".fetch/*.part"))


def test_a_checksum_sent_with_the_first_part_outlives_the_cut(server: Server, tmp_path: Path) -> None:
    server.cuts, server.extra = [1000], {"Content-MD5": b64("md5", CONTENT)}
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT


def test_an_expected_sha256_is_verified(server: Server, tmp_path: Path) -> None:
    right, wrong = hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(InputError, match=wrong):
        download(server.url + "/file.gz", tmp_path / "file.gz", sha256=wrong)
    assert not (tmp_path / "file.gz").exists()
    assert download(server.url + "/file.gz", tmp_path / "file.gz", sha256=right.upper()).exists()
    with pytest.raises(InputError, match=wrong):
        download(server.url + "/file.gz", tmp_path / "file.gz", sha256=wrong)


@pytest.mark.parametrize("content", [CONTENT[:-5], CONTENT[:1000] + b"?" + CONTENT[1001:], b"<html>"])
def test_a_broken_gzip_is_refused(content: bytes, server: Server, tmp_path: Path) -> None:
    server.files["/file.gz"] = content
    with pytest.raises(InputError, match="a whole gzip file"):
        download(server.url + "/file.gz", tmp_path / "file.gz")
    assert not (tmp_path / "file.gz").exists()


def test_no_space_left(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as full:
        full.setattr(module.shutil, "disk_usage", lambda _: usage(100, 95, 5))
        with pytest.raises(InputError, match="free some space"):
            download(server.url + "/file.gz", tmp_path / "file.gz")
    assert not (tmp_path / "file.gz").exists()
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_file_of_somebody_else_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.gz").write_text("mine")
    with pytest.raises(InputError, match="out of the way"):
        download(server.url + "/file.gz", tmp_path / "file.gz")
    assert (tmp_path / "file.gz").read_text() == "mine"


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="a folder that can be written"):
        download(server.url + "/file.gz", tmp_path / "file" / "file.gz")


CHILD = """
import sys
from pathlib import Path
from aisle.data.download import download
download(sys.argv[1], Path(sys.argv[2]))
"""


def test_two_processes_at_once_download_once(server: Server, tmp_path: Path) -> None:
    server.pause = 0.5
    command = [sys.executable, "-c", CHILD, server.url + "/file.gz", str(tmp_path / "file.gz")]
    children = [subprocess.Popen(command) for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    assert server.gets["/file.gz"] == 1
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_a_killed_process_keeps_no_lock(server: Server, tmp_path: Path) -> None:
    server.pause = 30.0
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, server.url + "/file.gz", str(tmp_path / "file.gz")]
    )
    deadline = time.monotonic() + 60
    while not server.gets and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    server.pause = 0.0
    started = time.monotonic()
    assert download(server.url + "/file.gz", tmp_path / "file.gz").read_bytes() == CONTENT
    assert time.monotonic() - started < 20
