"""The neurological strand: examinations in, one status per visit out (pure)."""
