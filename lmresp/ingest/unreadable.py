"""The one error of reading a series."""


class UnreadableSeries(Exception):  # noqa: N818  # it names the state of the data, as the queries do
    """A series that holds no volume to measure; its text is the reason, in words for a query."""
