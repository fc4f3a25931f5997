"""A language model that reads what a user did and a candidate together."""
