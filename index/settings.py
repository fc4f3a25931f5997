"""What can be set about indices."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Metric = Literal["inner_product", "cosine"]
Storage = Literal["float32", "fp16", "int8"]


class SearchSettings(BaseModel):
    """How hard an approximate index looks: more finds more, and takes longer. `aisle index tune` chooses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nprobe: int = Field(default=64, ge=1, description="lists that a search of an inverted file visits")
    ef: int = Field(default=128, ge=1, description="length of the queue of a search in a graph")
    rescore: int = Field(
        default=4, ge=1, description="times k candidates are scored again with the stored vectors"
    )


class IndexSettings(BaseModel):
    """The nearest-neighbour index over item vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="auto: a GPU where FAISS finds one"
    )
    gpus: Literal["replicas", "shards"] = Field(
        default="replicas",
        description="several GPUs: all items on each of them, or a part of the items",
    )
    kind: str = Field(
        default="exact",
        min_length=1,
        description="exact, ivf_flat, ivf_sq8, ivf_sq4, ivf_pq, ivf_binary, hnsw, cagra, auto, or any "
        "factory string of FAISS, such as 'IVF4096,PQ64,RFlat' (docs/index-kinds.md)",
    )
    metric: Metric = Field(
        default="inner_product", description="cosine: vectors and queries are brought to unit length"
    )
    storage: Storage = Field(
        default="float32",
        description="how item vectors are kept; int8: 256 steps between the extremes of each dimension",
    )
    screen: bool = Field(
        default=True,
        description="exact search of float32 vectors on a CPU with AVX512-VNNI: products of bytes tell most "
        "vectors apart before any is scored; the answers are the same, and the bytes take a quarter of the "
        "vectors' memory",
    )
    seed: int = Field(default=0, ge=0, description="of the sample that an approximate index is trained on")
    search: SearchSettings = SearchSettings()
