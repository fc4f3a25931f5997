"""Chunked encoding equals the plain one, loss and gradient, and holds one chunk's activations."""

import weakref

import numpy as np
import pytest
import torch
from torch import nn

from aisle.retriever.gradcache import encode_in_chunks
from aisle.retriever.losses import in_batch

QUERIES, ITEMS = 8, 8


class Tanh(torch.autograd.Function):
    """tanh whose kept result lies in a NumPy array, which tells when autograd lets it go."""

    @staticmethod
    def forward(ctx, x, kept):
        array = np.tanh(x.detach().numpy())
        kept.append(weakref.ref(array))
        result = torch.from_numpy(array)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        (result,) = ctx.saved_tensors
        return gradient * (1 - result**2), None


class Watched(nn.Module):
    """A small encoder with dropout that notes how many inner activations are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(5, 16), nn.Linear(16, 4)
        self.dropout = nn.Dropout(0.5)
        self.kept = []
        self.most = 0
        self.rows = 0

    def forward(self, texts):
        inner = Tanh.apply(self.inner(texts), self.kept)
        self.most = max(self.most, sum(array() is not None for array in self.kept))
        self.rows += len(texts)
        return self.outer(self.dropout(inner))


def gradients(model, encode, texts):
    """Loss and gradient of pairs (query, item), the queries first."""
    model.zero_grad()
    vectors = encode(texts)
    targets = torch.tensor([0, 1, 2, 3, 4, 5, 6, 0])
    loss = in_batch(vectors[:QUERIES], vectors[QUERIES:], targets, torch.tensor(0.3))
    loss.backward()
    return loss.detach(), [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("size", [1, 3, 16])
def test_chunks_change_neither_loss_nor_gradient(size):
    torch.manual_seed(0)
    model, texts = Watched().eval(), torch.randn(QUERIES + ITEMS, 5)
    plain, plain_gradients = gradients(model, model, texts)
    chunked, chunked_gradients = gradients(
        model, lambda texts: encode_in_chunks(model, texts.split(size)), texts
    )
    torch.testing.assert_close(chunked, plain)
    for one, other in zip(chunked_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_dropout_is_the_same_in_both_passes():
    torch.manual_seed(0)
    model, texts = Watched().train(), torch.randn(QUERIES + ITEMS, 5)
    torch.manual_seed(1)
    plain, plain_gradients = gradients(
        model, lambda texts: torch.cat([model(part) for part in texts.split(4)]), texts
    )
    torch.manual_seed(1)
    chunked, chunked_gradients = gradients(
        model, lambda texts: encode_in_chunks(model, texts.split(4)), texts
    )
    torch.testing.assert_close(chunked, plain)
    for one, other in zip(chunked_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_one_chunk_is_in_memory_and_each_is_encoded_twice():
    torch.manual_seed(0)
    model, texts = Watched(), torch.randn(QUERIES + ITEMS, 5)
    gradients(model, lambda texts: torch.cat([model(part) for part in texts.split(2)]), texts)
    assert (model.most, model.rows) == (8, 16)
    model.most = model.rows = 0
    gradients(model, lambda texts: encode_in_chunks(model, texts.split(2)), texts)
    assert model.most <= 2  # the one in work, and the one before while it is let go
    assert model.rows == 2 * 16
