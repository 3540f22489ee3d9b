"""Phantoms with known truth, and the demo study made from them."""
