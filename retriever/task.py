"""What a training step computes: towers and objective, from a batch to its loss."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from aisle.retriever.batches import SequenceExamples, TextExamples
from aisle.retriever.hard import HardNegatives
from aisle.retriever.objective import Objective
from aisle.retriever.settings import RetrieverSettings
from aisle.retriever.teacher import Taught, Teaching
from aisle.retriever.towers import TwoTower


class Task(nn.Module):
    """Towers with what is asked of them; one module, so that checkpoints hold the state of both.

    Args:
        towers: what is trained.
        objective: the contrastive loss.
        hard: mines each target's own negatives; None: no hard negatives.
        teaching: the loss against a teacher's scores; None: no teacher.
    """

    def __init__(
        self,
        towers: TwoTower,
        objective: Objective,
        hard: HardNegatives | None = None,
        teaching: Teaching | None = None,
    ) -> None:
        super().__init__()
        self.towers = towers
        self.objective = objective
        self.hard = hard
        self.teaching = teaching
        self.mined_round = -1

    @classmethod
    def of(cls, towers: TwoTower, counts: Int[Tensor, " items"], settings: RetrieverSettings) -> "Task":
        """The task that the settings name; `counts` is how often each item is a target in training."""
        asked = settings.objective
        objective = Objective(towers.items.known, counts, asked, cosine=towers.cosine)
        hard = teaching = None
        if asked.hard_negatives:
            hard = HardNegatives(
                objective.known.numpy(),
                number=asked.hard_negatives,
                pool=asked.hard_pool,
                margin=asked.hard_margin,
            )
        if asked.teacher is not None:
            teaching = Teaching(asked.teacher_loss, asked.teacher_weight)
        return cls(towers, objective, hard, teaching)

    def forward(
        self, examples: SequenceExamples | TextExamples, taught: Taught | None = None
    ) -> Float[Tensor, ""]:
        """Loss of a batch, and of some users that a teacher has scored items for."""
        targets = examples.target_rows
        mined = self.mine(examples, targets) if self.hard else None
        compared = self.objective.compare(targets, mined)
        users, items = self.towers(examples, compared.rows)
        loss = self._in_full(self.objective, users, items, targets, compared, self.towers.temperature())
        if self.teaching is None or taught is None:
            return loss
        students = self.towers.user_vectors(taught.past)
        rows, places = torch.unique(taught.items, return_inverse=True)
        listed = self.towers.item_vectors(rows)
        loss_of_lists = self._in_full(
            self.teaching, students, listed, places, taught, self.towers.temperature()
        )
        return loss + loss_of_lists

    def begin_round(self, number: int) -> None:
        """Index the items as they are now, if this round was not begun yet, to mine hard negatives among."""
        if self.hard is None or number == self.mined_round:
            return
        self.mined_round = number
        training = self.towers.training
        self.towers.eval()
        with torch.no_grad():
            self.hard.refresh(self.towers.item_vectors(self.objective.known))
        self.towers.train(training)

    def mine(
        self, examples: SequenceExamples | TextExamples, targets: Int[Tensor, " n"]
    ) -> Int[Tensor, "n h"]:
        """Hard negatives of each target: item rows, -1 where there are fewer."""
        if self.hard is None:
            raise RuntimeError("no hard negatives were asked for")
        training = self.towers.training
        self.towers.eval()
        with torch.no_grad():
            queries = self.towers.training_vectors(examples)
        self.towers.train(training)
        return self.hard.mine(queries, targets, examples.seen)

    @staticmethod
    def _in_full(loss: nn.Module, users: Tensor, items: Tensor, *others: object) -> Float[Tensor, ""]:
        """A loss in float32, where the towers may have computed in bf16."""
        with torch.autocast(users.device.type, enabled=False):
            return loss(users.float(), items.float(), *others)  # type: ignore[no-any-return]
