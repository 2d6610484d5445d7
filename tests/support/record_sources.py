"""Sources of records for tests of readers."""

from collections.abc import Sequence


class Records(Sequence):
  """A source of these records; one that is an exception is raised when it is read."""

  def __init__(self, records):
    self.records = records

  def __len__(self):
    return len(self.records)

  def __getitem__(self, index):
    if isinstance(self.records[index], Exception):
      raise self.records[index]
    return self.records[index]
