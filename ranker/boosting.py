"""Boosted trees over features: LightGBM."""

from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray

from aisle.data.ids import Rows
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats
from aisle.ranker.settings import BoostingSettings

FILE = "boosting.txt"

FEW = 20_000
"""Pairs below which one thread scores them: servers have threads of their own, and more would only wait."""


@dataclass(frozen=True)
class Boosting:
    """Trees whose answers add up.

    Attributes:
        booster: of LightGBM.
    """

    booster: lightgbm.Booster

    @classmethod
    def fit(
        cls,
        features: Features,
        sizes: Rows,
        labels: NDArray[np.bool_],
        settings: BoostingSettings,
        *,
        seed: int,
        threads: int = 0,
    ) -> "Boosting":
        """Trees that put the relevant items of each list first.

        Args:
            features: of the pairs, list after list.
            sizes: pairs of each list, int64 (lists).
            labels: whether each pair is relevant.
            settings: the recipe.
            seed: of the drawn pairs and features.
            threads: of LightGBM; 0: as many as it finds.
        """
        data = lightgbm.Dataset(
            features.values, labels.astype(np.int32), group=sizes, feature_name=_plain(features.names)
        )
        parameters = {
            "objective": settings.objective,
            "learning_rate": settings.learning_rate,
            "num_leaves": settings.leaves,
            "min_data_in_leaf": settings.smallest_leaf,
            "feature_fraction": settings.columns,
            "bagging_fraction": settings.rows,
            "bagging_freq": 1,
            "lambda_l2": settings.l2,
            "lambdarank_truncation_level": 20,
            "is_unbalance": settings.objective == "binary",
            "num_threads": threads,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        return cls(lightgbm.train(parameters, data, settings.trees))

    def scores(self, features: Features) -> Floats:
        """Score of each pair, float32 (pairs); missing numbers go where trees learned to send them."""
        threads = 1 if len(features.values) < FEW else 0
        found = self.booster.predict(features.values, raw_score=True, num_threads=threads)
        return np.asarray(found, np.float32)

    def gains(self) -> dict[str, float]:
        """How much each feature's splits have improved the objective, by position."""
        return dict(enumerate(self.booster.feature_importance("gain").tolist()))  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write the trees as LightGBM's text."""
        (folder / FILE).write_text(self.booster.model_to_string())

    @classmethod
    def load(cls, folder: Path) -> "Boosting":
        """Read what :meth:`save` wrote."""
        return cls(lightgbm.Booster(model_str=(folder / FILE).read_text()))


def _plain(names: tuple[str, ...]) -> list[str]:
    """Names without what LightGBM refuses in them."""
    return [f"f{place}" for place in range(len(names))]
