"""Dubs of files in buckets are those of local files, byte for byte; bad ones are one line, before the work."""

import json

import pytest
from painter import Painter

from lpips_jax.core.errors import UserError
from lpips_jax.core.files import shown
from lpips_jax.dubbing import dub
from lpips_jax.dubbing.engine import Dubber
from lpips_jax.dubbing.jobs import dub_all
from lpips_jax.dubbing.options import Options
from lpips_jax.dubbing.remote import local_files
from lpips_jax.storage import stores


@pytest.fixture
def remote(media, gs_bucket):
  return put(media, gs_bucket.url)


def put(media, url):
  """Puts the inputs into a bucket; returns the URLs of `media`."""
  urls = {name: f'{url}/{path.name}' for name, path in media.items()}
  for name in ('face', 'audio', 'boxes'):
    stores.put(media[name], urls[name])
  return urls


def test_a_remote_dub_is_the_local_one(media, remote, gs_bucket):
  names = {'preview': 'preview.mp4', 'save_boxes': 'saved.json'}
  beside = {name: media['output'].with_name(file) for name, file in names.items()}
  dub(**media, checkpoint=Painter(), **beside)
  dub(**remote, checkpoint=Painter(), **{name: f'{gs_bucket.url}/{file}' for name, file in names.items()})
  for path in (media['output'], *beside.values()):
    assert stores.read(f'{gs_bucket.url}/{path.name}') == path.read_bytes()
  there = {'face.mp4', 'speech.wav', 'boxes.json', 'out.mp4', *names.values()}
  assert {file.name for file in stores.files_below(gs_bucket.url)} == there


@pytest.mark.slow
def test_a_dub_in_s3_is_the_local_one(media, s3_bucket):
  dub(**media, checkpoint=Painter())
  urls = put(media, s3_bucket.url)
  dub(**urls, checkpoint=Painter())
  assert stores.read(urls['output']) == media['output'].read_bytes()


def test_turns_and_their_sounds_may_be_remote(media, remote, gs_bucket):
  del media['boxes'], remote['boxes']
  transcript = media['output'].with_name('turns.json')

  def interview(files, turns):
    transcript.write_text(json.dumps([{'begin': 0, 'end': 1.6, 'face': 0, 'audio': str(files['audio'])}]))
    if turns != transcript:
      stores.put(transcript, turns)
    pictures = Dubber(Painter()).stream(files['face'], None, Options(turns=turns, detector='cascade'))
    with pytest.raises(UserError, match='no face that is to be dubbed') as refused:
      list(pictures)
    return shown(str(refused.value))

  assert interview(media, transcript).startswith(str(media['face']))
  assert interview(remote, f'{gs_bucket.url}/turns.json').startswith(remote['face'])


def test_bad_remote_files_are_one_line_and_leave_nothing(media, remote, gs_bucket):
  cases = [
    ({'face': f'{gs_bucket.url}/gone.mp4'}, 'gone.mp4 does not exist'),
    ({'face': remote['boxes']}, 'boxes.json has no picture in it'),
    ({'face': 'gs:/bucket/face.mp4'}, 'is no URL of a bucket: write gs://'),
    ({'output': 'https://example.org/dubbed.mp4'}, 'of URLs, gs:// and s3:// are known here'),
    ({'output': 'gs://no-bucket/dubbed.mp4'}, 'or its bucket does not'),
    ({'output': f'{gs_bucket.url}/dubbed.gif'}, 'must end in'),
    ({'output': remote['face']}, 'face.mp4 is one of the inputs'),
    ({'save_boxes': remote['boxes']}, 'boxes.json is one of the inputs'),
    ({'preview': remote['output']}, 'must be different files'),
    ({'c2pa_cert': 'gs://bucket/cert.pem'}, 'c2pa_cert=gs://bucket/cert.pem must be on this machine'),
  ]
  before = stores.files_below(gs_bucket.url)
  for changes, problem in cases:
    with pytest.raises(UserError) as refused:
      dub(**{**remote, **changes}, checkpoint=Painter())
    assert problem in shown(str(refused.value)), changes
    assert stores.files_below(gs_bucket.url) == before


def test_an_output_that_cannot_be_written_is_told_before_the_work(remote, gs_bucket, monkeypatch):
  def refuse(url, content):
    raise PermissionError('403')

  monkeypatch.setattr(stores, 'write', refuse)
  files = local_files(remote['face'], remote['audio'], remote['output'], Options())
  with pytest.raises(UserError, match=r'out\.mp4 cannot be written to .*your rights'), files:
    raise AssertionError('the dub was begun')


def test_a_remote_list_is_resumed(media, remote, gs_bucket, capsys):
  rows = [f'{remote["face"]},{remote["audio"]},{gs_bucket.url}/{name}.mp4' for name in 'ab']
  table, jobs = f'{gs_bucket.url}/jobs.results.csv', f'{gs_bucket.url}/jobs.csv'

  def done():
    painter = Painter()
    dub_all(jobs, Dubber(painter, batch_size=40), {'boxes': remote['boxes']})
    return len(painter.shapes)

  stores.write(jobs, '\n'.join(['face,audio,output', *rows]).encode())
  assert done() == 2 and done() == 0
  assert stores.read(table).decode().count(',done,40,') == 2
  stores.delete(f'{gs_bucket.url}/a.mp4')
  assert done() == 1  # its output is gone
  media['face'].write_bytes(media['face'].read_bytes() + bytes(8))
  stores.put(media['face'], remote['face'])
  assert done() == 2  # the face of both changed
  gone = f'{gs_bucket.url}/gone.mp4'
  stores.write(jobs, '\n'.join(['face,audio,output', *rows, f'{gone},{remote["audio"]},c.mp4']).encode())
  with pytest.raises(UserError, match=f'1 of the 3 jobs in {jobs} failed: see {table}'):
    done()
  assert f'{gone} does not exist' in stores.read(table).decode() and f'{jobs} line 4: {gone}' in capsys.readouterr().err


@pytest.mark.parametrize(
  ('header', 'row', 'problem'),
  [
    ('face,audio,output', 'gs:/b/a.mp4,a.wav,a.mp4', 'line 2: gs:/b/a.mp4 is no URL of a bucket'),
    ('face,audio,output', 'a.mp4,a.wav,ftp://b/a.mp4', 'line 2: ftp://b/a.mp4: of URLs'),
    ('face,audio,output,c2pa_key', 'a.mp4,a.wav,b.mp4,gs://b/k.pem', 'line 2: c2pa_key=gs://b/k.pem must be on'),
    ('face,text,voice,output', 'a.mp4,http://b,gs://b/v.onnx,b.mp4', 'line 2: voice=gs://b/v.onnx must be on'),
  ],
)
def test_urls_in_lists_are_checked_before_any_work(tmp_path, header, row, problem):
  (tmp_path / 'jobs.csv').write_text(f'{header}\n{row}\n')
  with pytest.raises(UserError, match=problem):
    dub_all(tmp_path / 'jobs.csv', Dubber(Painter()), {})
