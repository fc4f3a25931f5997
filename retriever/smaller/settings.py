"""What can be set about smaller encoders."""

from pydantic import BaseModel, ConfigDict, Field


class DistillSettings(BaseModel):
    """Which smaller encoder, and how long it learns."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: int = Field(default=0, ge=0, description="layers that stay; 0: none, a vector for each token")
    epochs: int = Field(default=10, ge=1, description="passes over the texts")
    batch_size: int = Field(default=128, ge=2, description="texts in a step")
    rate: float | None = Field(
        default=None,
        gt=0,
        description="of Adam at first, falling to 0; unset: 1e-4 with layers, 2e-3 without",
    )
