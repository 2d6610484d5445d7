"""Lists of jobs: what is done stays done, what fails stops nobody, and each row has its own options."""

import csv
import os

import pytest
from test_engine import Painter, media  # noqa: F401 (a fixture)

from lpips_jax.cli import UserError
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.jobs import dub_all
from lpips_jax.media.video import probe


def write_jobs(media, names, faces=None, header='face,audio,output', extra=None):  # noqa: F811
  directory = media['output'].parent
  rows = [
    f'{(faces or {}).get(name, media["face"])},{media["audio"]},{directory / name}{(extra or {}).get(name, "")}'
    for name in names
  ]
  path = directory / 'jobs.csv'
  path.write_text('\n'.join([header, *rows]))
  return path


def results(jobs):
  with open(jobs.with_name('jobs.results.csv'), newline='') as file:
    return list(csv.DictReader(file))


def test_a_list_goes_on_past_a_failure(media, tmp_path, capsys):  # noqa: F811
  jobs = write_jobs(media, ['a.mp4', 'b.mp4', 'c.mp4'], {'b.mp4': tmp_path / 'gone.mp4'})
  with pytest.raises(UserError, match='1 of the 3 jobs'):
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']})
  assert (tmp_path / 'a.mp4').exists() and (tmp_path / 'c.mp4').exists() and not (tmp_path / 'b.mp4').exists()
  assert 'line 3' in capsys.readouterr().err
  table = results(jobs)
  assert [row['status'] for row in table] == ['done', 'failed', 'done']
  assert [row['frames'] for row in table] == ['40', '0', '40'] and 'gone.mp4 does not exist' in table[1]['note']


def test_a_fault_of_the_generator_fails_one_job(media, tmp_path):  # noqa: F811
  painter = Painter()

  def fails(faces, mels):
    if not painter.shapes:
      painter.shapes.append(None)
      raise RuntimeError('no memory')
    return painter(faces, mels)

  fails.config = painter.config
  jobs = write_jobs(media, ['a.mp4', 'b.mp4'])
  with pytest.raises(UserError, match='1 of the 2 jobs'):
    dub_all(jobs, Dubber(fails), {'boxes': media['boxes']})
  assert not (tmp_path / 'a.mp4').exists() and (tmp_path / 'b.mp4').exists()
  assert results(jobs)[0]['note'] == 'RuntimeError: no memory'


def test_what_is_done_is_not_done_again(media, tmp_path, capsys):  # noqa: F811
  jobs = write_jobs(media, ['a.mp4', 'b.mp4', 'c.mp4'])

  def done():
    painter = Painter()
    dub_all(jobs, Dubber(painter, batch_size=40), {'boxes': media['boxes']})
    return len(painter.shapes)

  assert done() == 3 and done() == 0
  assert capsys.readouterr().out.count('was done before') == 3
  (tmp_path / 'b.mp4').unlink()
  assert done() == 1  # its output is gone
  os.utime(media['boxes'], ns=(0, 0))
  assert done() == 3  # the boxes of all changed
  write_jobs(media, ['a.mp4', 'b.mp4', 'd.mp4'])
  assert done() == 1 and len(results(jobs)) == 3


def test_rows_have_options(media, tmp_path):  # noqa: F811
  extra = {'a.mp4': ',video,,', 'b.mp4': ',,7,true', 'c.mkv': ',shortest,,'}
  jobs = write_jobs(media, list(extra), header='face,audio,output,length,crf,all_faces', extra=extra)
  with pytest.raises(UserError, match='1 of the 3 jobs'):  # all faces and boxes exclude each other
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']})
  assert probe(tmp_path / 'a.mp4').frames == 20 and (tmp_path / 'c.mkv').exists()
  assert 'give one of them' in results(jobs)[1]['note']


def test_processes_share_a_list(media, tmp_path):  # noqa: F811
  jobs = write_jobs(media, ['a.mp4', 'b.mp4', 'c.mp4'])
  for process, expected in ((0, {'a.mp4', 'c.mp4'}), (1, {'a.mp4', 'b.mp4', 'c.mp4'})):
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']}, process, 2)
    assert {path.name for path in tmp_path.glob('?.mp4')} == expected
  assert (tmp_path / 'jobs.results-1-of-2.csv').is_file()
  with pytest.raises(UserError, match='from 0 to 1'):
    dub_all(jobs, Dubber(Painter()), {}, 2, 2)


def test_what_would_be_lost_is_told_at_once(media, tmp_path):  # noqa: F811
  jobs = write_jobs(media, ['a.mp4', 'b.mp4'])
  with pytest.raises(UserError, match='columns of the list'):
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes'], 'preview': tmp_path / 'preview.mp4'})
  (tmp_path / 'jobs.results.csv').mkdir()
  with pytest.raises(UserError, match=r'jobs\.results\.csv is a directory'):
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']})
  assert not (tmp_path / 'a.mp4').exists()


@pytest.mark.parametrize(
  ('text', 'problem'),
  [
    ('', 'no rows'),
    ('face,audio\na,b', 'lacks'),
    ('face,audio,output\na,,c', 'audio in line 2'),
    ('face,audio,output\na,b,c,d', 'more values than columns'),
    ('face,audio,output,speed\na,b,c.mp4,2', "line 2: there is no option 'speed'"),
    ('face,audio,output,crf\na,b,c.mp4,good', 'line 2: --crf must be a whole number'),
    ('face,audio,output\na,b,c.mp4\n\nd,e,c.mp4', 'lines 2 and 4 .* both write c.mp4'),
    ('face,audio,output,preview\na,b,c.mp4,\nd,e,f.mp4,c.mp4', 'lines 2 and 3 .* both write c.mp4'),
  ],
)
def test_lists_that_are_none(tmp_path, text, problem):
  (tmp_path / 'jobs.csv').write_text(text)
  with pytest.raises(UserError, match=problem):
    dub_all(tmp_path / 'jobs.csv', Dubber(Painter()), {})
  with pytest.raises(UserError, match='cannot be read'):
    dub_all(tmp_path / 'gone.csv', Dubber(Painter()), {})
