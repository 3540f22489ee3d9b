"""The accuracy study on phantoms; run ``python -m benchmarks.accuracy``."""
