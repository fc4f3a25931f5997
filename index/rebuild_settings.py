"""What can be set about rebuilds of an index and what they have to show."""

from pydantic import BaseModel, ConfigDict, Field


class GateSettings(BaseModel):
    """What a new version has to show before it goes live."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sample: int = Field(default=200, ge=1, description="items whose neighbours are compared")
    k: int = Field(default=10, ge=1, description="neighbours of each of them")
    min_recall: float = Field(
        default=0.95, ge=0, le=1, description="least share of the exact neighbours that the index finds"
    )
    min_overlap: float = Field(
        default=0.5, ge=0, le=1, description="least share of neighbours that the live version names, too"
    )
    max_count_drift: float = Field(
        default=0.2,
        ge=0,
        description="largest change of the number of items, as a share of the live version's",
    )
    max_norm_drift: float = Field(
        default=0.5,
        ge=0,
        description="largest change of the vectors' mean length, as a share of the live one's",
    )
    max_zero: float = Field(default=0.01, ge=0, le=1, description="largest share of vectors without length")


class RebuildSettings(BaseModel):
    """Rebuilds of an index that is served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int = Field(default=3, ge=1, description="versions that are kept, the live one among them")
    block: int = Field(
        default=2048, ge=1, description="texts that are encoded before their vectors are kept for good"
    )
    gate: GateSettings = GateSettings()
