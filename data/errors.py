"""The one kind of error that bad input raises."""


class InputError(ValueError):
    """Input that cannot be used: says what was expected, what came, and the way out.

    The command line prints it without a traceback and exits with status 2.

    >>> print(InputError("a folder with data files", "no such folder: shop/", "check the path"))
    expected: a folder with data files
    found:    no such folder: shop/
    to do:    check the path
    """

    def __init__(self, expected: str, found: str, fix: str) -> None:
        super().__init__(expected, found, fix)
        self.expected = expected
        self.found = found
        self.fix = fix

    def __str__(self) -> str:
        return f"expected: {self.expected}\nfound:    {self.found}\nto do:    {self.fix}"
