"""Rates and survival of a study, from best responses and endpoints; every interval names its method (pure)."""
