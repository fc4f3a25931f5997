"""Questions of a live shop: tests of two versions, and what a log of one says about another."""
