"""The arithmetic that was settled for an encoder, remembered where the vectors are that it made."""

import hashlib
import json
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from aisle.durable import write_whole
from aisle.retriever.settings import Arithmetic

Half = Literal["bf16", "fp16"]
"""What can be settled on: with float32 nothing has to be compared, so that there is nothing to remember."""


class Settled(BaseModel):
    """A note: with which encoder, on what, an arithmetic was found as good as float32."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: str
    machine: dict[str, str]
    precision: Half
    seal: str = ""

    @property
    def checksum(self) -> str:
        """What `seal` must be: SHA-256 over everything above, as compact JSON."""
        return hashlib.sha256(self.model_dump_json(exclude={"seal"}).encode()).hexdigest()


def recall(path: Path, encoder: str, device: str) -> Half | None:
    """The arithmetic that was settled for an encoder on this machine; None where it has to be settled.

    Args:
        path: of the note.
        encoder: fingerprint of the language model and of how it is read.
        device: where it computes.
    """
    with suppress(OSError, ValidationError):
        note = Settled.model_validate_json(path.read_bytes())
        if note.seal == note.checksum and (note.encoder, note.machine) == (encoder, machine(device)):
            return note.precision
    return None


def remember(path: Path, encoder: str, device: str, precision: Arithmetic) -> None:
    """Note what was settled, as :func:`recall` asks for it; nothing happens where that cannot be written."""
    if precision != "bf16" and precision != "fp16":
        return
    note = Settled(encoder=encoder, machine=machine(device), precision=precision)
    with suppress(OSError):
        write_whole(path, note.model_copy(update={"seal": note.checksum}).model_dump_json(indent=1) + "\n")


def machine(device: str) -> dict[str, str]:
    """What an arithmetic is settled on: processor or GPU, cores, and the libraries that compute."""
    capabilities = torch.cpu.get_capabilities()
    return {
        "device": torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device,
        "processor": json.dumps(capabilities, sort_keys=True, default=str),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "transformers": version("transformers"),
    }
