"""Combinations of settings that would do nothing are refused, with what is missing."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from aisle.retriever.settings import ObjectiveSettings, RetrieverSettings


@pytest.mark.parametrize(
    ("objective", "missing"),
    [
        ({"hard_negatives": 4}, "hard_negatives: only with kind = 'sampled_softmax'"),
        ({"kind": "in_batch", "popular_share": 0.5}, "popular_share: only with"),
        ({"kind": "full_softmax", "batch_negatives": True}, "batch_negatives: only with"),
        ({"frequency": "streaming"}, "'streaming': only with kind = 'in_batch' or with batch_negatives"),
    ],
)
def test_settings_of_another_objective(objective, missing):
    with pytest.raises(ValidationError, match=missing):
        ObjectiveSettings(**objective)


def test_prefixes_are_shorter_than_the_vectors():
    with pytest.raises(ValidationError, match=r"below dim \(64\)"):
        RetrieverSettings(dim=64, objective=ObjectiveSettings(matryoshka=(32, 64)))
    assert RetrieverSettings(dim=64, objective=ObjectiveSettings(matryoshka=(32,))).dim == 64


def test_a_teacher_can_be_named_in_text():
    assert ObjectiveSettings.model_validate({"teacher": "scores.parquet"}).teacher == Path("scores.parquet")
