"""The flow from an archive to training: preprocess, build and train; killed, continued, and on a cluster."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from runs import ROOT
from videos import SIDE, beside, face_frames, write_mp4

from data_pipeline import corpora
from data_pipeline.preparation import store
from lpips_jax.storage import files, stores, transfer

KILLS = 20
SHRUNK = {  # configs/lrs2.py, until two steps of it are a matter of seconds
  'model.image_size': 32,
  'model.widths': (4, 8),
  'model.blocks': 1,
  'model.bottleneck': 1,
  'model.audio_widths': (4, 4, 8, 8, 8),
  'model.audio_residuals': (0, 0, 0, 0),
  'perceptual.source': 'random',
  'perceptual.width': 0.0625,
  'data.batch_size': 4,
  'data.workers': 1,
  'data.eval_batches': 1,
  'optimizer.warmup_steps': 1,
  'steps': 2,
  'log_every': 1,
  'eval_every': 2,
  'checkpoint_every': 2,
}


def command(*arguments, cwd=ROOT, **options):
  return subprocess.run(
    [sys.executable, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=300, **options
  )


def preprocess(source, output, *options):
  return command(
    '-m', 'data_pipeline.preprocess', f'--source={source}', f'--output={output}', '--detector=cascade', *options
  )


def contents(directory):
  """Every file of a directory by name."""
  files = sorted(path for path in directory.rglob('*') if path.is_file())
  return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def same_files(url, directory):
  """Returns whether the objects beneath a URL are the files of a directory, leases and locks aside."""
  names = [name for name in files.sizes_below(url) if not name.startswith('.lease/')]
  return {store.LOCK: b''} | {name: stores.read(f'{url}/{name}') for name in names} == contents(directory)


@pytest.fixture(scope='module')
def archive(tmp_path_factory):
  """A miniature of LRS2 as it is distributed: h264 and AAC, its directories and lists, and all that can go wrong."""
  root = tmp_path_factory.mktemp('LRS2 archive')  # with a space in its name
  videos = root / 'mvlrs_v1'
  people = [face_frames(number, 1.2) for number in range(5)]

  def film(name, number, rate=Fraction(25), frames=None, sound=True):
    own, samples = people[number]
    return write_mp4(videos / f'{name}.mp4', frames or own, samples if sound else None, rate)

  for name, number in {'main/100/00001': 0, 'main/100/00002': 1, 'main/300/00001': 2, 'main/400/00001': 3}.items():
    film(name, number)
  film('pretrain/500/00001', 4)
  film('main/101/00001', 0, rate=Fraction(30000, 1001))
  film('main/102/00001', 1, frames=beside(people[1][0], people[2][0]))
  film('main/103/00001', 0, frames=people[0][0][:16] + people[3][0][:14])
  film('main/104/00001', 0, frames=[np.full((SIDE, SIDE, 3), 90, np.uint8)] * 30)
  film('main/105/00001', 1, sound=False)
  whole = film('main/106/00001', 2)
  whole.write_bytes(whole.read_bytes()[:3000])
  film('main/106/00002', 2)
  lists = {
    'train': [f'{speaker}/00001' for speaker in range(100, 107)] + ['100/00002', '106/00002', '107/00001'],
    'val': ['300/00001'],
    'test': ['400/00001 NF'],
    'pretrain': ['500/00001'],
  }
  for split, names in lists.items():
    (root / f'{split}.txt').write_text('\n'.join(names) + '\n')
  return root


@pytest.fixture(scope='module')
def prepared(archive, tmp_path_factory):
  """The archive, prepared in one go."""
  output = tmp_path_factory.mktemp('prepared') / 'lrs2'
  result = preprocess(archive, output, '--layout=lrs2', '--crop_size=48', '--min_frames=12', '--workers=2')
  assert result.returncode == 0, result.stderr
  assert '10 records' in result.stdout
  return output


@pytest.mark.slow
def test_an_archive_can_be_prepared_built_and_trained_on(prepared, directory, tmp_path):
  rejected = dict(list(csv.reader((prepared / 'rejected.csv').read_text().splitlines()))[1:])
  assert {clip: reason.split(':')[0] for clip, reason in rejected.items()} == {
    'main/104/00001': 'no face was found',
    'main/105/00001': 'the file has no sound track',
    'main/106/00001': 'the file is not a media file that can be read, or is cut short',
    'main/107/00001': 'the file does not exist',
  }
  summaries = {clip: store.read_summary(prepared, clip) for clip in store.read_splits(prepared)['train']}
  lengths = {clip: [record['frames'] for record in summary.records] for clip, summary in summaries.items()}
  assert lengths['main/100/00001'] == [30] and lengths['main/101/00001'] == [25]  # 30 frames at 29.97 are a second
  assert lengths['main/102/00001'] == [30] and lengths['main/103/00001'] == [16, 14]
  assert '<html' in (prepared / 'report.html').read_text()

  options = f'--manual_dir={prepared}', f'--data_dir={tmp_path}'
  built = command('-m', 'data_pipeline.build', 'data_pipeline/corpora/lrs2', *options)
  assert built.returncode == 0, built.stderr
  sources = {split: corpora.source('lrs2', split, str(tmp_path)) for split in ('train', 'val', 'test', 'pretrain')}
  assert [len(source) for source in sources.values()] == [7, 1, 1, 1]
  speakers = {split: {record['speaker'] for record in source} for split, source in sources.items()}
  assert speakers['val'] == {b'300'} and not speakers['train'] & (speakers['val'] | speakers['test'])

  trained = command(
    'train.py',
    '--config=configs/lrs2.py',
    f'--workdir={tmp_path / "run"}',
    f'--config.data.data_dir={tmp_path}',
    f'--config.sync_expert={directory / "sync_expert" / "checkpoint"}',
    *(f'--config.{name}={value}' for name, value in SHRUNK.items()),
  )
  assert trained.returncode == 0, trained.stderr
  lines = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()]
  lines = [line for line in lines if line['kind'] != 'time']
  assert [(line['step'], line['kind']) for line in lines] == [(1, 'train'), (2, 'train'), (2, 'eval')]
  assert all(np.isfinite(value) for line in lines for value in line.values() if not isinstance(value, str))


@pytest.mark.slow
def test_a_run_that_is_killed_at_random_loses_nothing_and_repeats_nothing(archive, prepared, tmp_path):
  output = tmp_path / 'killed'
  options = f'--source={archive}', f'--output={output}', '--layout=lrs2', '--crop_size=48', '--min_frames=12'
  arguments = [sys.executable, '-m', 'data_pipeline.preprocess', *options, '--detector=cascade', '--workers=2']
  draw, written = random.Random(0), {}
  for _ in range(KILLS):
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(draw.uniform(0.3, 2.5))
    process.kill()
    process.wait()
    times = {path: path.stat().st_mtime_ns for path in output.glob('clips/**/*.npz')}
    assert all(times[path] == before for path, before in written.items())
    written = times
  assert not (output / 'rejected.csv').exists() or len(written) == 13
  finished = preprocess(archive, output, '--layout=lrs2', '--crop_size=48', '--min_frames=12', '--workers=2')
  assert finished.returncode == 0
  assert contents(output) == contents(prepared)


def test_workers_end_when_the_command_is_killed(archive, tmp_path):
  process = subprocess.Popen(
    [sys.executable, '-m', 'data_pipeline.preprocess', f'--source={archive}', f'--output={tmp_path / "out"}',
     '--layout=lrs2', '--detector=cascade', '--workers=2'],
    cwd=ROOT, stderr=subprocess.DEVNULL)  # fmt: skip
  deadline = time.monotonic() + 60
  while len(_children(process.pid)) < 3 and time.monotonic() < deadline:  # two workers, and a tracker of resources
    time.sleep(0.02)
  children = _children(process.pid)
  assert len(children) >= 3
  process.kill()
  process.wait()
  while any(_alive(child) for child in children) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not any(_alive(child) for child in children)


def _children(pid):
  listing = Path(f'/proc/{pid}/task/{pid}/children')
  return [int(child) for child in listing.read_text().split()] if listing.exists() else []


def _alive(pid):
  try:
    return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
  except OSError:
    return False


@pytest.mark.slow
def test_a_cluster_makes_the_same_clips(archive, prepared, tmp_path):
  result = preprocess(
    archive, tmp_path / 'out', '--layout=lrs2', '--crop_size=48', '--min_frames=12', '--beam_runner=DirectRunner'
  )
  assert result.returncode == 0, result.stderr
  assert contents(tmp_path / 'out') == contents(prepared)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['gs_bucket', 's3_bucket'])
def test_a_bucket_gets_the_same_files(archive, prepared, kind, request):
  url = request.getfixturevalue(kind).url
  transfer.upload(archive, f'{url}/raw')
  result = preprocess(f'{url}/raw', f'{url}/out', '--layout=lrs2', '--crop_size=48', '--min_frames=12', '--workers=2')
  assert result.returncode == 0, result.stderr
  assert same_files(f'{url}/out', prepared)


@pytest.mark.slow
def test_a_run_in_a_bucket_that_fails_at_times_and_is_killed_ends_with_the_same_files(archive, prepared, gs_bucket):
  output = f'{gs_bucket.url}/out'
  options = f'--source={archive}', f'--output={output}', '--layout=lrs2', '--crop_size=48', '--min_frames=12'
  arguments = [sys.executable, '-m', 'data_pipeline.preprocess', *options, '--detector=cascade', '--workers=2']
  for clips in (2, 5):
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and sum(name.startswith('clips/') for name in files.sizes_below(output)) < clips:
      time.sleep(0.1)
    process.kill()
    assert process.wait() == -signal.SIGKILL
  with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
    assert 'were prepared before' in process.stdout.readline()
    gs_bucket.fault(status=503, seconds=4)
    process.communicate(timeout=200)
  assert process.returncode == 0
  assert same_files(output, prepared)


@pytest.mark.slow
def test_a_cluster_whose_workers_are_processes_writes_to_a_bucket(archive, prepared, gs_bucket):
  result = preprocess(
    archive, gs_bucket.url, '--layout=lrs2', '--crop_size=48', '--min_frames=12', '--beam_runner=DirectRunner',
    '--beam_option=--direct_running_mode=multi_processing', '--beam_option=--direct_num_workers=2')  # fmt: skip
  assert result.returncode == 0, result.stderr
  assert same_files(gs_bucket.url, prepared)


@pytest.mark.slow
def test_bad_input_gives_one_line_and_leaves_no_files(archive, prepared, tmp_path, directory):
  (tmp_path / 'full').mkdir()
  (tmp_path / 'full' / 'notes.txt').touch()
  cases = {
    'missing --source, --output, --layout': (),
    'holds no clips of the layout lrw': (f'--source={archive}', f'--output={tmp_path / "o"}', '--layout=lrw'),
    'is not a directory': (f'--source={tmp_path / "x"}', f'--output={tmp_path / "o"}', '--layout=lrs2'),
    'prepared with other settings (crop_size: 48 -> 96; min_frames: 12 -> 15)': (
      f'--source={archive}', f'--output={prepared}', '--layout=lrs2', '--detector=cascade'),
    'is not empty and holds no prepared clips': (
      f'--source={archive}', f'--output={tmp_path / "full"}', '--layout=lrs2', '--detector=cascade'),
    'does not exist': (
      f'--source={archive}', f'--output={tmp_path / "o"}', '--layout=lrs2', '--sync_expert=nowhere'),
  }  # fmt: skip
  for problem, arguments in cases.items():
    result = command('-m', 'data_pipeline.preprocess', *arguments)
    assert result.returncode == 2 and problem in result.stderr and result.stderr.count('\n') == 1, result.stderr
  assert not (tmp_path / 'o').exists()


def test_ctrl_c_twice_ends_everything(archive, tmp_path):
  (tmp_path / 'videos').mkdir()
  for k in range(2000):  # more than are done before the signal arrives, however busy the machine is
    (tmp_path / 'videos' / f'{k}.mp4').symlink_to(archive / 'mvlrs_v1' / 'main' / '100' / '00001.mp4')
  arguments = (
    f'--source={tmp_path / "videos"}',
    f'--output={tmp_path / "out"}',
    '--layout=folder',
    '--detector=cascade',
    '--workers=2',
  )
  process = subprocess.Popen(
    [sys.executable, '-m', 'data_pipeline.preprocess', *arguments],
    cwd=ROOT,
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  deadline = time.monotonic() + 60
  while not list(tmp_path.glob('out/clips/**/*.npz')) and time.monotonic() < deadline:
    time.sleep(0.02)
  os.killpg(process.pid, signal.SIGINT)
  time.sleep(0.3)
  if process.poll() is None:
    os.killpg(process.pid, signal.SIGINT)
  _, message = process.communicate(timeout=60)
  assert process.returncode == 130
  assert message == 'preprocess.py: interrupted\n'
  assert len(list(tmp_path.glob('out/clips/**/*.npz'))) < 2000
