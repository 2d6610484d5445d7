"""Sizes and paddings of convolutions, and the arrays that functions take."""

from typing import Any

import jax
import numpy as np

AnyArray = jax.Array | np.ndarray  # tracers are instances of jax.Array
Length = Any  # of an axis: an int, or the name that it has while a program for any length is exported
Size = int | tuple[int, int]


def pair(size: Size) -> tuple[int, int]:
  """Returns (rows, columns) of a size that may be one number for both."""
  return (size, size) if isinstance(size, int) else size


def symmetric(padding: Size) -> tuple[tuple[int, int], tuple[int, int]]:
  """Returns explicit padding, as much before as after, of rows and of columns."""
  rows, columns = pair(padding)
  return (rows, rows), (columns, columns)
