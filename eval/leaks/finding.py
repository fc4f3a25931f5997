"""What a leak check says."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["leak", "suspicion"]


class Finding(BaseModel):
    """Something that makes measured values better than they would be in use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str = Field(description="the check that found it")
    severity: Severity = Field(
        description="leak: the values cannot be trusted; suspicion: they can, if there is a reason for it"
    )
    what: str = Field(description="what was found, as a sentence")
    evidence: list[str] = Field(description="some of the cases")
    fix: str = Field(description="what to do about it")


class Leaks(BaseModel):
    """All that the leak checks say of an evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checked: list[str] = Field(description="checks that were made, whether they found anything or not")
    left_out: dict[str, str] = Field(description="check, and what it would have needed")
    findings: list[Finding] = Field(description="what was found, leaks before suspicions")
