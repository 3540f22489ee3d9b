"""Corticosteroids: dosing intervals in, one dose status per visit out, and what it does to the examination (pure)."""
