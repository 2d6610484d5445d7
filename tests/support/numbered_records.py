"""Records whose contents give their position, for tests of parts of records."""

import numpy as np

from data_pipeline.records import make_record


def numbered_record(frames):
  """A record in which each frame, sample, mel row and box holds its position."""
  places = np.arange(640 * frames)
  record = make_record('a', 's', [b'%d' % k for k in range(frames)], np.int16(places % 30011), np.zeros((frames, 4)))
  rows = np.arange(len(record['mel']))
  return record | {
    'mel': np.repeat(rows[:, None], 80, 1).astype(np.float32),
    'phones': (rows % 100).astype(np.int8),
    'box': np.repeat(np.arange(frames)[:, None], 4, 1),
  }


def assert_part(part, whole, first, last):
  assert part['frames'] == whole['frames'][first:last]
  np.testing.assert_array_equal(part['box'], whole['box'][first:last])
  np.testing.assert_array_equal(part['audio'], whole['audio'][640 * first : 640 * last])  # 16 kHz, 25 frames a second
  row = first * 16 // 5
  assert len(part['mel']) == 1 + len(part['audio']) // 200  # as in any record
  for name in ('mel', 'phones'):
    np.testing.assert_array_equal(part[name], whole[name][row : row + len(part['mel'])], err_msg=name)
