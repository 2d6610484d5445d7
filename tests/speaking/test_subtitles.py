"""Subtitles, read back by a parser of their own."""

import html
import itertools
import os
import re

import pytest

from lpips_jax.core.errors import UserError
from lpips_jax.speaking.subtitles import arranged, check_subtitles, columns, write_subtitles
from lpips_jax.speaking.utterance import Cue


def spoken(text, begin=0.0, per_letter=0.06, pause=0.4):
  """Cues of a voice that says each letter in `per_letter` seconds, and pauses after sentences."""
  cues = []
  for word in re.findall(r'\S+\s*', text):
    end = begin + per_letter * len(word.strip())
    cues.append(Cue(begin, end, word))
    begin = end + (pause if word.strip()[-1] in '.!?' else 0.0)
  return cues


def parsed(path):
  """Returns (begin, end, lines) of each subtitle of a file."""
  text = path.read_bytes().decode('utf-8')
  clock = r'(\d\d):(\d\d):(\d\d)[,.](\d{3})'
  found = re.findall(rf'^{clock} --> {clock}\n((?:.+\n)+)', text, re.MULTILINE)
  seconds = [[int(part) for part in block[:8]] for block in found]
  times = [[3600 * h + 60 * m + s + ms / 1000 for h, m, s, ms in (t[:4], t[4:])] for t in seconds]
  return [(*time, block[8].splitlines()) for time, block in zip(times, found, strict=True)]


LONG = (
  'When the machine had stopped, nobody in the large and rather dusty workshop knew why it was so very quiet, and the '
  'people who had built it looked at each other. It was over. "Really?" Yes. They went home, had a cup of tea, and '
  'slept.'
)


@pytest.mark.parametrize('suffix', ['.srt', '.vtt', '.SRT'])
def test_subtitles_are_read_back(tmp_path, suffix):
  cues = spoken(LONG)
  write_subtitles(tmp_path / f's{suffix}', cues)
  shown = parsed(tmp_path / f's{suffix}')
  assert ' '.join(' '.join(lines) for *_, lines in shown) == LONG
  begins, ends = {cue.begin for cue in cues}, {cue.end for cue in cues}
  for begin, end, lines in shown:
    assert len(lines) <= 2 and max(map(len, lines)) <= 42
    assert min(abs(begin - time) for time in begins) < 0.001
    assert end - begin >= 1 and (end - begin < 1.001 or min(abs(end - time) for time in ends) < 0.001)
  assert all(a[1] <= b[0] + 0.001 for a, b in itertools.pairwise(shown))
  assert (tmp_path / f's{suffix}').read_text().startswith('WEBVTT\n\n' if suffix == '.vtt' else '1\n')
  assert os.listdir(tmp_path) == [f's{suffix}']


def test_sentences_and_phrases_stay_together():
  shown = [cue.text for cue in arranged(spoken(LONG))]
  assert shown[0].replace('\n', ' ') == 'When the machine had stopped,'
  assert not any(re.search(r'[.!?]"? \w', text.replace('\n', ' ')) for text in shown if len(text) > 42)


def test_short_sentences_are_shown_together_and_long_pauses_part_them():
  assert [cue.text for cue in arranged(spoken('No. Yes. Well.'))] == ['No. Yes. Well.']
  apart = arranged(spoken('No. Yes. Well.', pause=3.0))
  assert [cue.text for cue in apart] == ['No.', 'Yes.', 'Well.']
  assert all(cue.end - cue.begin == pytest.approx(1.0) for cue in apart)


def test_a_sentence_is_divided_by_its_letters():
  shown = arranged([Cue(1.0, 9.0, 'a' * 40 + ' ' + 'b' * 40 + ' ' + 'c' * 40 + ' ' + 'd' * 40)])
  assert [cue.text for cue in shown] == ['\n'.join((x * 40, y * 40)) for x, y in ('ab', 'cd')]
  assert [(cue.begin, cue.end) for cue in shown] == [(1.0, pytest.approx(5.0)), (pytest.approx(5.0), 9.0)]


def test_wide_letters_count_twice_and_words_without_end_are_cut():
  shown = arranged([Cue(0, 10, '世' * 100), Cue(10, 20, 'x' * 100)])
  assert ''.join(cue.text.replace('\n', '').replace(' ', '') for cue in shown) == '世' * 100 + 'x' * 100
  assert max(columns(line) for cue in shown for line in cue.text.split('\n')) <= 42
  assert columns('é') == columns('e\u0301') == 1 and columns('世') == 2


def test_marks_of_the_format_are_text(tmp_path):
  text = '<i>a</i> --> b & c'
  for suffix in '.srt', '.vtt':
    write_subtitles(tmp_path / f's{suffix}', [Cue(0, 2, text)])
  (_, _, (line,)), (_, _, (escaped,)) = (parsed(tmp_path / f's{suffix}')[0] for suffix in ('.srt', '.vtt'))
  assert line == '<i>a</i> → b & c' and html.unescape(escaped) == text and '-->' not in escaped


def test_hours_are_counted(tmp_path):
  write_subtitles(tmp_path / 's.srt', [Cue(3661.9996, 7325.25, 'late')])
  assert '01:01:02,000 --> 02:02:05,250' in (tmp_path / 's.srt').read_text()


def test_places_that_cannot_be_written_are_told_at_once(tmp_path):
  for name, problem in [('s.txt', 'must end in .srt or .vtt'), ('s', 'must end in'), ('no/s.srt', 'does not exist')]:
    with pytest.raises(UserError, match=problem):
      check_subtitles(tmp_path / name)
    with pytest.raises(UserError, match=problem):
      write_subtitles(tmp_path / name, [Cue(0, 1, 'a')])
  (tmp_path / 'd.srt').mkdir()
  with pytest.raises(UserError, match='is a directory'):
    check_subtitles(tmp_path / 'd.srt')
  check_subtitles(tmp_path / 's.vtt')
  assert os.listdir(tmp_path) == ['d.srt']
