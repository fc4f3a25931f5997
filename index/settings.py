"""What can be set about indices."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IndexSettings(BaseModel):
    """The nearest-neighbour index over item vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="auto: a GPU where FAISS finds one"
    )
