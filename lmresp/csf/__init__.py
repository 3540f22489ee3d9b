"""The cytology strand: CSF samples in, one status per visit out (pure)."""
