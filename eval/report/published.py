"""Published figures, to be drawn as reference points and labelled as what they are.

All under protocol S3: the dataset as given, leave-one-out, all items ranked, seen items masked, every
user counted. They are shown beside results of the same dataset, by its name, under the same split, and
nowhere else.
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


USERS = {"amazon-beauty-2014": 22_363, "amazon-sports-2014": 35_598, "amazon-toys-2014": 19_412}
"""Users of each dataset, all of whom the figures count."""

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
    """Published models that state `measure` under this protocol.

    None unless the protocol names the dataset, splits it by `leave_one_out`, predicts the test part,
    ranks all items, and counts as many users as the dataset has.
    """
    dataset, split = str(protocol.get("dataset")), protocol.get("split")
    strategy = split.get("strategy") if isinstance(split, dict) else split
    same = (
        strategy == "leave_one_out"
        and protocol.get("part") == "test"
        and protocol.get("candidates") == "all items"
        and protocol.get("users") == USERS.get(dataset)
    )
    return [entry for entry in PUBLISHED.get(dataset, ()) if same and measure in entry.values]
