"""Twins of Flax's and JAX's own operations, made faster by hand.

Each equals its counterpart to rounding (`tests/layers`); swap the import and nothing else changes."""
