"""Tuning to one person: the base's own config for a short while, its cost told, its gain shown, the end seen."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from runs import ROOT
from videos import face_frames, write_mp4

from configs import lrs2, lrs2_gan
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.media import speech, video_reader
from lpips_jax.personalising import estimate, preview, recipe
from lpips_jax.training.validation import check_config


def test_the_base_keeps_its_network_and_losses(trained_checkpoint):
  base = recipe.read_base(str(trained_checkpoint), '')
  config = recipe.tuning(base, lrs2.get_config(), 100)
  assert config.model.to_dict() == {k: tuple(v) if isinstance(v, list) else v for k, v in base.model.items()}
  assert config.losses.to_dict() == base.losses.to_dict() and config.data.lead == base.data.lead
  assert config.steps == 100 and config.optimizer.learning_rate == pytest.approx(0.3 * base.optimizer.learning_rate)
  check_config(config)


def test_what_a_converted_base_was_never_trained_with_is_filled_in(trained_checkpoint):
  model = {'name': 'wav2lip', 'image_size': 96, 'dtype': 'float32'}
  converted = ConfigDict({'task': 'generator', 'model': model, 'data': {'lead': 1.0}})
  config = recipe.tuning(converted, lrs2_gan.get_config(), 8)
  assert config.model.to_dict() == model and config.data.lead == 1.0
  assert config.losses.adversarial_start == config.losses.warmup_steps.adversarial == 2  # within so short a run
  check_config(config)


def test_no_generator_and_no_expert_are_told(directory, trained_checkpoint, tmp_path):
  with pytest.raises(UserError, match='holds a sync_expert, not a generator'):
    recipe.read_base(str(directory / 'sync_expert'), '')
  network = pretrained.load(trained_checkpoint)
  pretrained.save(tmp_path / 'alone', network)
  with pytest.raises(UserError, match='keeps no sync expert to tune with: give one with --sync_expert'):
    recipe.read_base(str(tmp_path / 'alone'), '')
  recipe.read_base(str(tmp_path / 'alone'), str(directory / 'sync_expert'))


def test_part_way_weights_and_statistics_lie_between(trained_checkpoint):
  base = pretrained.load(trained_checkpoint)
  tuned = dataclasses.replace(base, variables=jax.tree.map(lambda x: x + 2, base.variables), step=7)
  between = recipe.part_way(base, tuned)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(y, x + 2 * recipe.SHARE, rtol=1e-5, atol=1e-5),
    base.variables,
    between.variables,
  )
  assert between.step == 7


def test_the_network_part_way_replaces_that_of_a_shorter_run(trained_checkpoint, tmp_path):
  base, kept = pretrained.load(trained_checkpoint), tmp_path / 'checkpoint'
  pretrained.save(kept, dataclasses.replace(base, step=base.step - 1))
  recipe.keep_part_way(kept, base, trained_checkpoint)
  assert [path.name for path in kept.iterdir() if path.name.isdigit()] == [str(base.step)]
  pretrained.expert_of(kept)
  assert (kept / 'MODEL_CARD.md').exists() and not kept.with_name('checkpoint.part').exists()


def test_time_is_told_from_the_pace():
  assert estimate.told(estimate.Pace(0.01, 0.5, 3.0), 240, 10.0) == (
    'about 0:02:45 from here: 0:00:30 to compile, 0:02:00 for 240 steps, 0:00:15 to score and dub'
  )
  assert '240 steps whose pace will be told' in estimate.told(estimate.Pace(0.01, None), 240, 10.0)


def test_the_end_of_a_video_keeps_picture_and_sound_together(tmp_path):
  """Every frame has a level of its own, and every 25th of a second of sound, too."""
  frames = [np.full((32, 48, 3), 40 + 2 * k, np.uint8) for k in range(60)]
  samples = np.repeat(np.arange(60) / 100, 640) * np.tile([1, -1], 30 * 640)
  path = write_mp4(tmp_path / 'v.mp4', frames, samples)
  preview.cut_end(path, 0.8, tmp_path / 'end.mp4')
  seen = np.array([frame.mean() for frame in video_reader.read_frames(tmp_path / 'end.mp4')])
  np.testing.assert_allclose(seen, [40 + 2 * k for k in range(40, 60)], atol=1.5)
  assert video_reader.probe(tmp_path / 'end.mp4').rate == Fraction(25)
  assert len(speech.load_speech(tmp_path / 'end.mp4')) == pytest.approx(20 * 640, abs=64)


def test_the_end_of_a_video_in_which_the_picture_rests_has_as_many_frames_as_its_dub(tmp_path):
  frames = [np.full((32, 48, 3), 40 + 10 * k, np.uint8) for k in range(6)]
  path = write_mp4(tmp_path / 'v.mp4', frames, np.zeros(16000), times=[0, 1, 2, 20, 21, 22])
  preview.cut_end(path, 0.8, tmp_path / 'end.mp4')
  seen = np.array([frame.mean() for frame in video_reader.read_frames(tmp_path / 'end.mp4')])
  np.testing.assert_allclose(seen, [60] * 17 + [70, 80, 90], atol=1.5)


@pytest.fixture
def me(tmp_path):
  """A video of 21 s: two of them, there and back."""
  frames, samples = face_frames(0, 2.1)
  turns = [frames[:: (-1) ** k] for k in range(10)]
  return write_mp4(tmp_path / 'me.mp4', [frame for turn in turns for frame in turn], np.tile(samples, 10))


def test_killed_and_continued_it_leaves_what_dubs(me, trained_checkpoint, tmp_path):
  command = [sys.executable, ROOT / 'personalise.py', f'--video={me}', f'--checkpoint={trained_checkpoint}']
  command += [f'--workdir={tmp_path / "run"}', '--steps=4', '--detector=cascade']
  environment = os.environ | {'JAX_NUM_CPU_DEVICES': '1'}
  first = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  deadline = time.monotonic() + 120
  saved = tmp_path / 'run' / 'tuning' / 'checkpoint' / '1'
  while not saved.exists() and time.monotonic() < deadline and first.poll() is None:
    time.sleep(0.05)
  first.send_signal(signal.SIGKILL)
  first.communicate()
  second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
  assert second.returncode == 0, second.stderr
  assert 'going on' in second.stdout and '4 of 4: dubbing' in second.stdout
  assert f'; to dub: python infer.py --face={me}' in second.stdout.splitlines()[-1]
  made, tuned = (pretrained.load(tmp_path / 'run' / name) for name in ('checkpoint', 'tuning/checkpoint'))
  between = recipe.part_way(pretrained.load(trained_checkpoint), tuned)
  assert made.step == 4 and made.fingerprint == between.fingerprint != tuned.fingerprint
  pretrained.expert_of(tmp_path / 'run' / 'checkpoint')
  assert '<video' in (tmp_path / 'run' / 'page.html').read_text()
  assert video_reader.probe(tmp_path / 'run' / 'preview' / 'beside.mp4').width == 3 * preview.SIDE
  table = (tmp_path / 'run' / 'evaluation' / 'metrics.md').read_text()
  assert '| tuned silent' in table and 'other_audio' not in table
