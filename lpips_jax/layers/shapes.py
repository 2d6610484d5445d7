"""Sizes and paddings of convolutions."""

import jax.numpy as jnp

Dtype = jnp.dtype
Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
  return (size, size) if isinstance(size, int) else size


def symmetric(padding: Size) -> tuple[tuple[int, int], tuple[int, int]]:
  rows, columns = pair(padding)
  return (rows, rows), (columns, columns)
