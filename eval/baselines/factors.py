"""Matrix factorisation: the models of `implicit`, on the CPU."""

from dataclasses import dataclass, field
from typing import Self

from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.cpu.lmf import LogisticMatrixFactorization
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from aisle.data.ids import Rows
from aisle.eval.baselines.past import Past, Scores


@dataclass
class Factors:
    """Vectors of users and items, float32 (n_users, factors) and (n_items, factors), once fitted."""

    users: Scores = field(init=False, repr=False)
    items: Scores = field(init=False, repr=False)

    def scores(self, user_rows: Rows) -> Scores:
        """Products of user and item factors."""
        product: Scores = self.users[user_rows] @ self.items.T
        return product

    def _descended(
        self, model: BayesianPersonalizedRanking | LogisticMatrixFactorization, past: Past
    ) -> Self:
        """The vectors of a model of gradient descent; those of users without history, left random, are 0."""
        model.fit(sparse.csr_matrix(past.counts), show_progress=False)
        self.users, self.items = model.user_factors, model.item_factors
        self.users[past.histories.lengths == 0] = 0
        return self


@dataclass
class Als(Factors):
    """iALS: squared loss over all user-item pairs, where an event weighs `alpha` and no event weighs 1.

    Source: Hu, Koren and Volinsky 2008, "Collaborative filtering for implicit feedback datasets". On how much
    its tuning matters: Rendle et al. 2022, "Revisiting the performance of iALS on item recommendation
    benchmarks".
    """

    factors: int = 128
    regularization: float = 0.1
    alpha: float = 1.0
    iterations: int = 15

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Alternate between users and items."""
        with threadpool_limits(1, "blas"):  # implicit runs its own threads, and BLAS would fight them
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=threads,
                random_state=seed,
            )
            model.fit(sparse.csr_matrix(past.counts), show_progress=False)
        self.users, self.items = model.user_factors, model.item_factors
        return self


@dataclass
class Bpr(Factors):
    """BPR: an item of the user shall score above a random other one, by stochastic gradient descent.

    One thread, because updates without locks from several would give another model at every run.
    Source: Rendle et al. 2009, "BPR: Bayesian personalized ranking from implicit feedback".
    """

    factors: int = 128
    learning_rate: float = 0.05
    regularization: float = 0.01
    iterations: int = 100

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Descend."""
        model = BayesianPersonalizedRanking(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            iterations=self.iterations,
            num_threads=1,
            random_state=seed,
        )
        return self._descended(model, past)


@dataclass
class LogisticMf(Factors):
    """Logistic MF: the probability that a user takes an item, against `neg_prop` random items an event.

    One thread, as for :class:`Bpr`. Vectors have two numbers more than `factors`: the biases.
    Source: Johnson 2014, "Logistic matrix factorization for implicit feedback data".
    """

    factors: int = 64
    learning_rate: float = 1.0
    regularization: float = 0.6
    neg_prop: int = 30
    iterations: int = 30

    def fit(self, past: Past, *, seed: int, threads: int) -> Self:
        """Ascend."""
        model = LogisticMatrixFactorization(
            factors=self.factors,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            neg_prop=self.neg_prop,
            iterations=self.iterations,
            num_threads=1,
            random_state=seed,
        )
        return self._descended(model, past)
