"""What can be wrong with an index or a search."""


class IndexFault(ValueError):  # noqa: N818 (the thing at fault is an index, not a lookup)
    """An index that cannot be used, or a search that it cannot answer: expected, found, and the way out."""

    def __init__(self, expected: str, found: str, fix: str) -> None:
        super().__init__(expected, found, fix)
        self.expected = expected
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        return f"expected: {self.expected}\nfound:    {self.found}\nto do:    {self.fix}"


class Damaged(IndexFault):
    """Files that are not as they were written."""
