"""Published figures, to be drawn as reference lines and labelled as what they are.

All under protocol S3: the dataset as given, leave-one-out, all items ranked, seen items masked, every
user counted. They belong to a dataset by its name in the protocol and to nothing else.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import JsonValue


class Published(NamedTuple):
    """A model's figures as somebody else printed them."""

    model: str
    source: str
    values: dict[str, float]


S3_REC = "Zhou et al. 2020, S3-Rec"
TIGER = "Rajput et al. 2023, TIGER"
ESASREC = "Tikhonovich et al. 2025, eSASRec benchmark"
ACTION_PIECE = "Hou et al. 2025, ActionPiece"


def _figures(model: str, source: str, recall: float, ndcg: float) -> Published:
    return Published(model, source, {"recall@10": recall, "ndcg@10": ndcg})


PUBLISHED: dict[str, tuple[Published, ...]] = {
    "amazon-beauty-2014": (
        _figures("SASRec", S3_REC, 0.0605, 0.0318),
        _figures("TIGER", TIGER, 0.0648, 0.0384),
        _figures("ActionPiece", ACTION_PIECE, 0.0775, 0.0424),
        _figures("HSTU, tuned", ESASREC, 0.0788, 0.0439),
        _figures("SASRec, sampled softmax", ESASREC, 0.0921, 0.0531),
        _figures("eSASRec", ESASREC, 0.0928, 0.0523),
    ),
    "amazon-sports-2014": (
        _figures("SASRec", S3_REC, 0.0350, 0.0192),
        _figures("TIGER", TIGER, 0.0400, 0.0225),
        _figures("ActionPiece", ACTION_PIECE, 0.0500, 0.0264),
        _figures("HSTU, tuned", ESASREC, 0.0437, 0.0243),
        _figures("SASRec, sampled softmax", ESASREC, 0.0569, 0.0314),
        _figures("eSASRec", ESASREC, 0.0560, 0.0323),
    ),
    "amazon-toys-2014": (
        _figures("SASRec", S3_REC, 0.0675, 0.0374),
        _figures("TIGER", TIGER, 0.0712, 0.0432),
        _figures("HSTU, tuned", ESASREC, 0.0778, 0.0450),
        _figures("SASRec, sampled softmax", ESASREC, 0.0970, 0.0580),
        _figures("eSASRec", ESASREC, 0.0939, 0.0538),
    ),
}


def published(protocol: Mapping[str, JsonValue], measure: str) -> list[Published]:
    """Published models that state `measure` under this protocol; none unless it says that it is theirs.

    The protocol has to name the dataset (`dataset`) and to say `name: "S3"`.
    """
    if protocol.get("name") != "S3":
        return []
    return [entry for entry in PUBLISHED.get(str(protocol.get("dataset")), ()) if measure in entry.values]
