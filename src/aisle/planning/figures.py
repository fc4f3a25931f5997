"""What was measured on a machine, as `bench.json`."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aisle.data.documents import write_document
from aisle.data.errors import InputError

FORMAT = 2
"""Of the file; raised when older figures mean something else."""

Positive = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(_Part):
    """Where it was measured."""

    processor: str
    cores: int = Field(ge=1)
    memory: int = Field(gt=0, description="bytes")
    device: str = Field(description="that the language model ran on: cpu, or a GPU")
    versions: dict[str, str]
    measured: str = Field(description="date")


class Point(_Part):
    """Seconds for one unit of work at one size."""

    size: Positive = Field(description="tokens of a text, or items of an index")
    seconds: Positive = Field(description="for one text, one build or one query")


class IndexPoint(Point):
    """The same of an index, which may have other lists than its size calls for."""

    lists: int | None = Field(None, ge=1, description="inverted lists; None: as many as the size calls for")
    nprobe: int | None = Field(None, ge=1, description="lists that a query visits; None: as planned")
    visited: Positive | None = Field(None, description="items in those lists, on average; None: not counted")


class LanguageModel(_Part):
    """What the arithmetic of a language model depends on, and how fast it was."""

    name: str
    dim: int = Field(gt=0, description="length of a vector")
    weights: int = Field(gt=0, description="numbers in its matrices, tables of embeddings left out")
    layers: int = Field(gt=0)
    width: int = Field(gt=0, description="of a layer")
    memory: int = Field(ge=0, description="resident bytes of a process that encodes")
    texts: list[Point] = Field(description="a text, by its tokens")


class IndexFigures(_Part):
    """One kind of index."""

    kind: str
    dim: int = Field(gt=0)
    storage: str
    batch: int = Field(gt=0, description="queries asked together")
    k: int = Field(gt=0)
    nprobe: int = Field(gt=0, description="lists that a query visits in a plan")
    builds: list[IndexPoint]
    searches: list[IndexPoint]


class Disk(_Part):
    """The disk of the temporary folder."""

    write: Positive = Field(description="bytes a second, until they are on the disk")
    read: Positive = Field(description="bytes a second")
    row: Positive = Field(description="bytes of a candidate in Parquet")


class Figures(_Part):
    """All that was measured."""

    format: int = Field(FORMAT, ge=FORMAT, le=FORMAT)
    machine: Machine
    language_model: LanguageModel
    indices: list[IndexFigures]
    disk: Disk
    pair: Positive | None = Field(None, description="seconds to rank one candidate, of a trained ranker")

    def write(self, path: Path) -> None:
        """As JSON, whole or not at all.

        Raises:
            InputError: there is no such folder.
        """
        write_document(path, self)

    @classmethod
    def read(cls, path: Path) -> "Figures":
        """From JSON.

        Raises:
            InputError: no such file, or other content.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            fix = "measure this machine with `aisle bench`, or name a GPU of the table with --gpu"
            raise InputError("figures of a machine", f"no file {path}", fix) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(
                "figures that `aisle bench` wrote", f"{path}: {where}: {first['msg']}", "measure again"
            ) from error

    def index(self, kind: str) -> IndexFigures:
        """Figures of a kind of index.

        Raises:
            InputError: it was not measured.
        """
        for one in self.indices:
            if one.kind == kind:
                return one
        measured = ", ".join(one.kind for one in self.indices) or "none"
        raise InputError(f"figures of {kind}", measured, f"measure again: aisle bench --kind {kind}")
