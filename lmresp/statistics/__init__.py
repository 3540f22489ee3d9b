"""Rates and survival of a study, from best responses and endpoints; every interval names its method."""

from lmresp.statistics.rates import rates
from lmresp.statistics.survival import survival

__all__ = ["rates", "survival"]
