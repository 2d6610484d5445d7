"""Lists of jobs: finished rows stay done, a failure stops no other row, and each row may give options."""

import contextlib
import csv
import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painter import Painter

from lpips_jax.core.errors import UserError
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.jobs import Job, dub_all, read_jobs
from lpips_jax.media.video_reader import probe


def write_jobs(media, names, faces=None, header='face,audio,output', extra=None):
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


def test_a_list_goes_on_past_a_failure(media, tmp_path, capsys):
  jobs = write_jobs(media, ['a.mp4', 'b.mp4', 'c.mp4'], {'b.mp4': tmp_path / 'gone.mp4'})
  with pytest.raises(UserError, match='1 of the 3 jobs'):
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']})
  assert (tmp_path / 'a.mp4').exists() and (tmp_path / 'c.mp4').exists() and not (tmp_path / 'b.mp4').exists()
  assert 'line 3' in capsys.readouterr().err
  table = results(jobs)
  assert [row['status'] for row in table] == ['done', 'failed', 'done']
  assert [row['frames'] for row in table] == ['40', '0', '40'] and 'gone.mp4 does not exist' in table[1]['note']


def test_an_error_of_the_generator_fails_one_job(media, tmp_path):
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


def test_finished_jobs_are_not_done_again(media, tmp_path, capsys):
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


def test_rows_may_give_options(media, tmp_path):
  extra = {'a.mp4': ',video,,', 'b.mp4': ',,7,true', 'c.mkv': ',shortest,,'}
  jobs = write_jobs(media, list(extra), header='face,audio,output,length,crf,all_faces', extra=extra)
  with pytest.raises(UserError, match='1 of the 3 jobs'):  # all faces and boxes exclude each other
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']})
  assert probe(tmp_path / 'a.mp4').frames == 20 and (tmp_path / 'c.mkv').exists()
  assert 'give one of them' in results(jobs)[1]['note']


def test_processes_share_a_list(media, tmp_path):
  jobs = write_jobs(media, ['a.mp4', 'b.mp4', 'c.mp4'])
  for process, expected in ((0, {'a.mp4', 'c.mp4'}), (1, {'a.mp4', 'b.mp4', 'c.mp4'})):
    dub_all(jobs, Dubber(Painter()), {'boxes': media['boxes']}, process, 2)
    assert {path.name for path in tmp_path.glob('?.mp4')} == expected
  assert (tmp_path / 'jobs.results-1-of-2.csv').is_file()
  with pytest.raises(UserError, match='from 0 to 1'):
    dub_all(jobs, Dubber(Painter()), {}, 2, 2)


def test_problems_of_the_whole_list_are_reported_before_any_work(media, tmp_path):
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
    ('face,audio\na,b', 'lacks output: its columns are face, audio'),
    ('visage;audio;output\na;b;c', 'lacks face: its columns are visage, audio, output'),
    ('face,audio,output,crf,crf\na,b,c.mp4,1,2', 'names a column twice'),
    ('face,audio,output\na,,c', 'audio in line 2'),
    ('face,audio,output\na,b,c,d', 'more values than columns'),
    ('face,audio,output,speed\na,b,c.mp4,2', "line 2: there is no option 'speed'"),
    ('face,audio,output,crf\na,b,c.mp4,good', 'line 2: crf must be a whole number'),
    ('face,audio,output\na,b,c.mp4\n\nd,e,c.mp4', 'lines 2 and 4 .* both write c.mp4'),
    ('face,audio,output,preview\na,b,c.mp4,\nd,e,f.mp4,c.mp4', 'lines 2 and 3 .* both write c.mp4'),
  ],
)
def test_bad_lists_are_refused(tmp_path, text, problem):
  (tmp_path / 'jobs.csv').write_text(text)
  with pytest.raises(UserError, match=problem):
    dub_all(tmp_path / 'jobs.csv', Dubber(Painter()), {})
  with pytest.raises(UserError, match='cannot be read'):
    dub_all(tmp_path / 'gone.csv', Dubber(Painter()), {})


LIST = [
  'face,audio,output,pads',
  'a.mp4,b.wav,ü.mp4,"0,1,0,0"',
  'c.mp4,b.wav,d e.mp4,',
]
SAID = {'audio': 'b.wav'}
WANTED = [Job(2, 'a.mp4', 'ü.mp4', SAID, {'pads': '0,1,0,0'}), Job(3, 'c.mp4', 'd e.mp4', SAID, {})]


def with_semicolons(line):
  return ';'.join(next(csv.reader([line])))


@pytest.mark.parametrize(
  ('lines', 'encoding'),
  [
    (LIST, 'utf-8'),
    (LIST, 'utf-8-sig'),
    (LIST, 'utf-16'),
    (LIST, 'utf-16-le'),
    (LIST, 'utf-16-be'),
    ([with_semicolons(line) for line in LIST], 'utf-8'),
    ([with_semicolons(line).replace(';', '\t') for line in LIST], 'utf-16'),
    ([line.replace('4,', '4 , ').replace('face,', ' face, ') for line in LIST], 'utf-8'),
    ([*LIST, ',,,', ''], 'utf-8'),
    ([LIST[0].upper(), *LIST[1:]], 'utf-8'),
  ],
)
@pytest.mark.parametrize('end', ['\n', '\r\n'])
def test_lists_of_spreadsheets_are_read(tmp_path, lines, encoding, end):
  (tmp_path / 'jobs.csv').write_bytes(end.join(lines).encode(encoding))
  assert read_jobs(tmp_path / 'jobs.csv') == WANTED


def test_zeros_among_the_text_are_reported(tmp_path):
  (tmp_path / 'jobs.csv').write_bytes(b'face,audio,output\na.mp4,b.wav,c\0.mp4\n')
  with pytest.raises(UserError, match='zeros where there should be text'):
    read_jobs(tmp_path / 'jobs.csv')


def test_a_declared_separator_is_used(tmp_path):
  (tmp_path / 'jobs.csv').write_text('sep=|\nface|audio|output\na,1.mp4|b.wav|c.mp4\n')
  assert read_jobs(tmp_path / 'jobs.csv') == [Job(3, 'a,1.mp4', 'c.mp4', SAID, {})]


def test_a_tilde_means_the_home_directory(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  (tmp_path / 'jobs.csv').write_text('face,audio,output,boxes\n~/a.mp4,~/b.wav,~/c.mp4,~/d.json')
  face, audio, output, boxes = (f'/home/me/{name}' for name in ('a.mp4', 'b.wav', 'c.mp4', 'd.json'))
  assert read_jobs(tmp_path / 'jobs.csv') == [Job(2, face, output, {'audio': audio}, {'boxes': boxes})]


def test_texts_are_said(media, tmp_path):
  """Whoever calls decides how; what a row says is part of whether it is done."""
  said = []

  @contextlib.contextmanager
  def open_speech(speech, options):
    said.append(dict(speech))
    yield media['audio'], options

  def run(text):
    (tmp_path / 'jobs.csv').write_text(f'face,text,voice,output\n{media["face"]},{text},espeak,{media["output"]}\n')
    dub_all(tmp_path / 'jobs.csv', Dubber(Painter()), {'boxes': media['boxes']}, open_speech=open_speech)

  for text in ('Hello', 'Hello', '~'):
    run(text)
  assert said == [{'text': 'Hello', 'voice': 'espeak'}, {'text': '~', 'voice': 'espeak'}]
  with pytest.raises(UserError, match='1 of the 1 jobs'):
    dub_all(tmp_path / 'jobs.csv', Dubber(Painter()), {'boxes': media['boxes'], 'crf': 20})


cells = st.text('aö,;|=\'" .', min_size=1, max_size=6).filter(lambda text: text == text.strip() and text[0] != '"')


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  return tmp_path_factory.mktemp('lists') / 'jobs.csv'


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
  st.lists(st.tuples(cells, cells), min_size=1, max_size=5),
  st.sampled_from([',', ';', '\t']),
  st.sampled_from(['utf-8', 'utf-8-sig', 'utf-16']),
  st.permutations(['face', 'audio', 'output', 'preview']),
)
def test_any_list_that_a_spreadsheet_writes_is_read(place, rows, separator, encoding, columns):
  text = io.StringIO()
  writer = csv.DictWriter(text, columns, delimiter=separator)
  writer.writeheader()
  for k, (face, audio) in enumerate(rows):
    writer.writerow({'face': face, 'audio': audio, 'output': f'{k}.mp4', 'preview': ''})
  place.write_bytes(text.getvalue().encode(encoding))
  jobs = [Job(k + 2, face, f'{k}.mp4', {'audio': audio}, {}) for k, (face, audio) in enumerate(rows)]
  assert read_jobs(place) == jobs
