"""A small module for mutants to be made of."""

SOURCE = '''"""Says 1 + 1."""

LIMIT: int = 3


def clipped(x: float, low: float = -1.0) -> float:
  """Not below."""
  if x < low and x != 0:
    raise ValueError(f'{x + 1}')
  é = 'ü'; return max(x, float(low)) + pow(LIMIT, 1)  # the accents take two bytes each
'''
