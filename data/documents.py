"""Settings and results of a job as a JSON file of their own."""

from pathlib import Path

from pydantic import BaseModel

from aisle.data.errors import InputError
from aisle.durable import write_whole


def write_document(path: Path, document: BaseModel) -> None:
    """Write a model as JSON, whole or not at all.

    Raises:
        InputError: there is no such folder.
    """
    if not path.parent.is_dir():
        raise InputError("a file in a folder that is there", str(path), "make the folder first")
    write_whole(path, document.model_dump_json(indent=2) + "\n")
