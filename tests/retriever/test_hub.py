"""An encoder is pushed to a stand-in of the hub over its protocol, and loads from what arrived there."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from language_models import TEXTS, tiny_bert

from aisle.data.errors import InputError
from aisle.retriever.encoder import Encoder
from aisle.retriever.hub import push
from aisle.retriever.settings import EncoderSettings


class Hub(ThreadingHTTPServer):
    """What the hub does for a push of small files: makes the repository, and takes one commit."""

    def __init__(self, folder, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.folder, self.status = folder, status
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.status != 200:
            return self.answer({"error": "not allowed"}, self.server.status)
        if self.path == "/api/repos/create":
            name = json.loads(body)["name"]
            return self.answer({"url": f"{self.server.url}/acme/{name}", "id": f"acme/{name}"})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for file in json.loads(body)["files"]
            ]
            return self.answer({"files": files})
        if "/commit/" in self.path:
            for line in body.decode().splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    path = self.server.folder / entry["value"]["path"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(base64.b64decode(entry["value"]["content"]))
            return self.answer({"commitUrl": f"{self.server.url}/acme/shop/commit/1", "commitOid": "1" * 40})
        return self.answer({"error": self.path}, 404)

    def answer(self, content: dict, status: int = 200) -> None:
        said = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    server = Hub(tmp_path / "hub")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def encoder(tmp_path):
    settings = EncoderSettings(model=str(tiny_bert(tmp_path / "plain")), max_tokens=24, precision="fp32")
    encoder = Encoder.load(settings.model_copy(update={"pooling": "cls"}))
    encoder.save(tmp_path / "stage" / "model")
    return encoder


def test_what_arrives_gives_the_same_vectors_here_and_there(tmp_path, hub, encoder):
    library = pytest.importorskip("sentence_transformers", reason="the reference library is not installed")
    assert push(tmp_path / "stage", "acme/shop") == f"{hub.url}/acme/shop"
    settings = EncoderSettings(model=str(hub.folder), max_tokens=24, precision="fp32")
    expected = encoder.encode(TEXTS)
    np.testing.assert_allclose(Encoder.load(settings).encode(TEXTS), expected, atol=1e-6)
    theirs = library.SentenceTransformer(str(hub.folder), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), expected, atol=1e-5)
    assert 'SentenceTransformer("acme/shop")' in (hub.folder / "README.md").read_text()
    assert {token for _, token in hub.asked} == {"Bearer hf_secret"}


def test_a_card_of_ones_own_is_kept(tmp_path, hub, encoder):
    (tmp_path / "stage" / "model" / "README.md").write_text("ours")
    push(tmp_path / "stage" / "model", "acme/shop")
    assert (hub.folder / "README.md").read_text() == "ours"


def test_a_hub_that_refuses(tmp_path, hub, encoder):
    hub.status = 403
    with pytest.raises(InputError, match="hf auth login"):
        push(tmp_path / "stage", "acme/shop")
    assert not hub.folder.exists()


def test_no_hub_at_all(tmp_path, hub, encoder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="check the name and the network"):
        push(tmp_path / "stage", "acme/shop")


@pytest.mark.parametrize("repo", ["a/b/c", "acme/ö"])
def test_a_name_that_no_repository_can_have(tmp_path, hub, encoder, repo):
    with pytest.raises(InputError, match="takes the encoder"):
        push(tmp_path / "stage", repo)


def test_a_folder_without_an_encoder(tmp_path):
    with pytest.raises(InputError, match="folder with an encoder"):
        push(tmp_path, "acme/shop")
