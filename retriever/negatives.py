"""Negatives drawn for a step, and how often each item is expected among them."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class CountedFrequency(nn.Module):
    """How often items are expected among a step's targets, by how often they are targets in one pass."""

    share: Tensor

    def __init__(self, counts: Int[Tensor, " items"]) -> None:
        super().__init__()
        self.register_buffer("share", counts / counts.sum().clamp(min=1), persistent=False)

    def observe(self, targets: Int[Tensor, " n"]) -> None:
        """Nothing: all is counted already."""

    def expected(self, rows: Int[Tensor, " m"], n: int) -> Float[Tensor, " m"]:
        """Expected number of times that each row is among `n` targets."""
        return n * self.share[rows]


class StreamingFrequency(nn.Module):
    """How often items are expected among a step's targets, by the steps between two of their appearances.

    Source: Yi et al. 2019, "Sampling-Bias-Corrected Neural Modeling", algorithm 2: on the appearance of item
    y in step t, B[y] <- (1 - rate) B[y] + rate (t - A[y]), A[y] <- t, and 1 / B[y] is its frequency. Items
    have rows here, so nothing is hashed. Two additions: an item's first appearances are averaged
    (rate 1, 1/2, 1/3, ... down to `rate`), so that the start is soon forgotten; and an item that is the
    target of c users of one step appeared c times, each (t - A[y]) / c steps after the last.

    Args:
        items: items of the catalogue.
        rate: weight of the newest interval.
    """

    step: Tensor
    last: Tensor
    interval: Tensor
    seen: Tensor

    def __init__(self, items: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("step", torch.tensor(0))
        self.register_buffer("last", torch.zeros(items, dtype=torch.long))
        self.register_buffer("interval", torch.zeros(items))
        self.register_buffer("seen", torch.zeros(items, dtype=torch.long))

    @torch.no_grad()
    def observe(self, targets: Int[Tensor, " n"]) -> None:
        """One more step, with these targets."""
        rows, counts = torch.unique(targets, return_counts=True)
        self.step += 1
        self.seen[rows] += 1
        rate = (1 / self.seen[rows]).clamp(min=self.rate)
        newest = (self.step - self.last[rows]) / counts
        self.interval[rows] = (1 - rate) * self.interval[rows] + rate * newest
        self.last[rows] = self.step

    def expected(self, rows: Int[Tensor, " m"], n: int) -> Float[Tensor, " m"]:
        """Expected number of times that each row is among a step's targets; 0 before it was seen."""
        interval = self.interval[rows]
        return torch.where(interval > 0, 1 / interval.clamp(min=1e-12), 0)


class DrawnNegatives(nn.Module):
    """Items drawn for all users of a step: some uniformly, some by how often they are targets.

    Source: Yang et al. 2020, "Mixed Negative Sampling for Learning Two-tower Neural Networks in
    Recommendations". In the correction, the sources of a mixture add up.

    Args:
        known: which items can be drawn.
        counts: how often each item of the catalogue is a target in training.
        number: items drawn for a step.
        popular_share: share of them that is drawn by `counts`; the others are uniform.
    """

    rows: Tensor
    cumulative: Tensor
    share: Tensor

    def __init__(
        self,
        known: Bool[Tensor, " items"],
        counts: Int[Tensor, " items"],
        number: int,
        popular_share: float,
    ) -> None:
        super().__init__()
        self.number = number
        self.popular = round(number * popular_share)
        self.uniform = number - self.popular
        rows = torch.nonzero(known).squeeze(1)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("share", counts / counts.sum().clamp(min=1), persistent=False)
        self.register_buffer("cumulative", counts[rows].double().cumsum(0), persistent=False)

    def draw(self) -> Int[Tensor, " k"]:
        """Item rows, with replacement."""
        device = self.rows.device
        drawn = torch.randint(len(self.rows), (self.uniform,), device=device)
        if self.popular:
            places = torch.rand(self.popular, device=device, dtype=torch.double) * self.cumulative[-1]
            found = torch.searchsorted(self.cumulative, places, right=True)
            drawn = torch.cat([drawn, found.clamp(max=len(self.rows) - 1)])
        return self.rows[drawn]

    def expected(self, rows: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Expected number of times that each of the known `rows` is drawn for a step."""
        return self.uniform / len(self.rows) + self.popular * self.share[rows]
