"""Boosted trees over features: LightGBM."""

from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from aisle.data.ids import Rows
from aisle.ranker.features import Features
from aisle.ranker.lists import Floats
from aisle.ranker.settings import BoostingSettings

FILE = "boosting.txt"
MIDDLES = "boosting.safetensors"

FEW = 20_000
"""Pairs below which one thread scores them: servers have threads of their own, and more would only wait."""


@dataclass(frozen=True)
class Boosting:
    """Trees whose answers add up.

    Attributes:
        booster: of LightGBM.
        middles: median of each feature that was known of all pairs in training, NaN for the others, float32
            (columns). Trees have not learned where to send those when they are missing (LightGBM would take
            them for 0); for the others they have.
    """

    booster: lightgbm.Booster
    middles: Floats

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
        gaps = np.isnan(features.values).any(0)
        middles = np.where(gaps, np.nan, np.median(features.values, 0)).astype(np.float32)
        return cls(lightgbm.train(parameters, data, settings.trees), middles)

    def scores(self, features: Features) -> Floats:
        """Score of each pair, float32 (pairs).

        Missing numbers go where trees learned to send them; those of features that were never missing, to the
        middle.
        """
        threads = 1 if len(features.values) < FEW else 0
        values = np.where(np.isnan(features.values), self.middles, features.values)
        found = self.booster.predict(values, raw_score=True, num_threads=threads)
        return np.asarray(found, np.float32)

    def gains(self) -> dict[str, float]:
        """How much each feature's splits have improved the objective, by position."""
        return dict(enumerate(self.booster.feature_importance("gain").tolist()))  # type: ignore[arg-type]

    def save(self, folder: Path) -> None:
        """Write the trees as LightGBM's text, and the middles as safetensors."""
        (folder / FILE).write_text(self.booster.model_to_string())
        save_file({"middles": self.middles}, folder / MIDDLES)

    @classmethod
    def load(cls, folder: Path) -> "Boosting":
        """Read what :meth:`save` wrote."""
        booster = lightgbm.Booster(model_str=(folder / FILE).read_text())
        return cls(booster, load_file(folder / MIDDLES)["middles"])


def _plain(names: tuple[str, ...]) -> list[str]:
    """Names without what LightGBM refuses in them."""
    return [f"f{place}" for place in range(len(names))]
