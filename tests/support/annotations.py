"""The check of annotations that tests run under (`--jaxtyping-packages` in pyproject.toml), and calls without it."""

import contextlib
from collections.abc import Iterator

import beartype
from jaxtyping import config

# As in PEP 484 an int is welcome where a float is asked for.
checked = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
  """Turns the check off, for errors that functions raise themselves."""
  config.update('jaxtyping_disable', True)
  try:
    yield
  finally:
    config.update('jaxtyping_disable', False)
