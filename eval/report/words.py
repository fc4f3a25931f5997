"""Metrics in plain words, for people who meet them in a report; formulas are in :mod:`aisle.eval.metrics`."""

PLAIN = {
    "recall": "Share of what a user wanted that the first k places hold.",
    "recall_capped": "The same, of as many items as fit into k places.",
    "ndcg": "What was found, where high places count more; 1 is the best possible list.",
    "ndcg_exp": "The same, with more weight for what was wanted most.",
    "hit_rate": "Share of users with at least one wanted item in the first k places.",
    "mrr": "1 / place of the first wanted item; 0 below k.",
    "map": "How many wanted items stand above each wanted item; 0 below k.",
    "precision": "Share of the first k places that was wanted.",
    "r_precision": "Share of the first R places that was wanted, R being what the user wanted.",
    "auc": "Chance that a wanted item stands in the first k places and above one that was not wanted.",
    "coverage": "Share of the catalogue in the first k places of anybody.",
    "gini": "How unevenly items are shown: 0, all alike; 1, one takes all.",
    "novelty": "How rarely shown items were taken before, in bits; more is rarer.",
    "diversity": "How unlike each other the items of a list are: mean of 1 - cosine of their vectors.",
    "serendipity": "Share of the first k places that was wanted and is not among the k most popular items.",
    "popularity_bias": "How much more popular shown items are than wanted ones: 0, alike; 1, twice.",
    "miscalibration": "How far a list's mix of categories is from that of the user's past; 0, the same.",
}
"""By metric, a sentence for a reader; what is not here is shown without one."""
