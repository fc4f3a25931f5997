"""Curves of a training, live: TensorBoard and Weights & Biases, by transformers' own callbacks."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aisle.data.errors import InputError
from aisle.retriever.processes import is_first
from aisle.retriever.settings import Reporter

if TYPE_CHECKING:
    from transformers import TrainerCallback


def check_reporters(names: Sequence[Reporter]) -> None:
    """Refuse what is not installed, before anything is computed.

    Raises:
        InputError: a package is missing.
    """
    for name in names:
        if find_spec(name) is None:
            raise InputError(
                f"the package {name}, for retriever.report_to",
                "it is not installed",
                f"pip install {name}, or leave it out of retriever.report_to",
            )


def reporters(names: Sequence[Reporter], folder: Path, training: str) -> list["TrainerCallback"]:
    """Callbacks that report one training; the first of several processes alone reports.

    Args:
        names: where to.
        folder: holds the event files of TensorBoard, one folder a training, and the files of wandb.
        training: name of it.
    """
    check_reporters(names)
    training = training.replace(" ", "-")
    makers = {"tensorboard": _tensorboard, "wandb": _wandb}
    return [makers[name](folder, training) for name in names] if is_first() else []


def _tensorboard(folder: Path, training: str) -> "TrainerCallback":
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations.integration_utils import TensorBoardCallback

    return TensorBoardCallback(SummaryWriter(str(folder / training)))  # type: ignore[no-untyped-call]


def _wandb(folder: Path, training: str) -> "TrainerCallback":
    from transformers.integrations.integration_utils import WandbCallback

    class OneRun(WandbCallback):
        """A run of its own for each training: transformers would go on with the one before."""

        def setup(self, args: Any, state: Any, model: Any, **kwargs: Any) -> None:
            os.environ.setdefault("WANDB_PROJECT", "aisle")
            os.environ.setdefault("WANDB_DIR", str(folder))
            folder.mkdir(parents=True, exist_ok=True)
            args.run_name = f"{folder.name}/{training}"
            super().setup(args, state, model, **kwargs)  # type: ignore[no-untyped-call]

        def on_train_end(self, *arguments: Any, **kwargs: Any) -> None:
            super().on_train_end(*arguments, **kwargs)
            self._wandb.finish()

    return OneRun()  # type: ignore[no-untyped-call]
