"""The node as ComfyUI uses it: found by its mappings, asked for its inputs, called with tensors, interrupted."""

import sys
import tempfile
import threading
import types

import numpy as np
import pytest
from networks import random_network
from videos import face_frames

from integrations.comfyui_lipsync import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS, _Meter, _write_film
from lpips_jax import pretrained
from lpips_jax.core.errors import UserError
from lpips_jax.core.progress import Progress
from lpips_jax.media.video_reader import read_frames

torch = pytest.importorskip('torch')
(LipSync,) = NODE_CLASS_MAPPINGS.values()
FRAMES = 6


class Interrupted(Exception):
  pass


@pytest.fixture
def comfy(monkeypatch):
  """ComfyUI's modules, as far as the node uses them.

  `shown` is what the bar showed; after `patience` times the user interrupts.
  """
  state = types.SimpleNamespace(shown=[], patience=np.inf)

  class ProgressBar:
    def __init__(self, total):
      self.total = total

    def update_absolute(self, value, total=None, preview=None):
      state.shown.append((value, total))

  def throw_exception_if_processing_interrupted():
    if len(state.shown) >= state.patience:
      raise Interrupted

  utils, management = types.ModuleType('comfy.utils'), types.ModuleType('comfy.model_management')
  utils.ProgressBar = ProgressBar
  management.throw_exception_if_processing_interrupted = throw_exception_if_processing_interrupted
  for module in types.ModuleType('comfy'), utils, management:
    monkeypatch.setitem(sys.modules, module.__name__, module)
  return state


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
  directory = tmp_path_factory.mktemp('node') / 'checkpoint'
  pretrained.save(directory, random_network('generator'))
  return str(directory)


@pytest.fixture(scope='module')
def scene():
  """A drawn speaker, (6, 160, 160, 3) float, and two channels of sound at 16 kHz."""
  frames, samples = face_frames(0, 0.3)
  images = torch.from_numpy(np.stack(frames[:FRAMES])).float() / 255
  return images, {'waveform': torch.from_numpy(np.stack([samples, samples]))[None], 'sample_rate': 16_000}


def test_the_class_follows_the_protocol():
  assert NODE_DISPLAY_NAME_MAPPINGS.keys() == NODE_CLASS_MAPPINGS.keys()
  assert isinstance(LipSync.CATEGORY, str)
  assert len(LipSync.RETURN_TYPES) == len(LipSync.RETURN_NAMES)
  assert callable(getattr(LipSync(), LipSync.FUNCTION))
  inputs = LipSync.INPUT_TYPES()
  assert inputs.keys() <= {'required', 'optional', 'hidden'}
  for kind, *options in [*inputs['required'].values(), *inputs['optional'].values()]:
    assert isinstance(kind, list) or kind in ('IMAGE', 'AUDIO', 'STRING', 'FLOAT', 'INT', 'BOOLEAN')
    assert len(options) <= 1
    for option in options:
      assert isinstance(option, dict)
      if isinstance(kind, list):
        assert option.get('default', kind[0]) in kind
      if 'min' in option:
        assert option['min'] <= option['default'] <= option['max']


def test_arguments_are_the_inputs():
  """ComfyUI calls the function with the inputs by name, and leaves out optional ones that are not connected."""
  code = LipSync.dub.__code__
  arguments = code.co_varnames[1 : code.co_argcount]
  inputs = LipSync.INPUT_TYPES()
  assert arguments == (*inputs['required'], *inputs['optional'])
  assert len(LipSync.dub.__defaults__) == len(inputs['optional'])
  for default, (name, (kind, *options)) in zip(LipSync.dub.__defaults__, inputs['optional'].items(), strict=True):
    shown = options[0].get('default', kind[0])
    assert default == shown, name


def test_the_checkpoint_is_checked_before_anything_runs(checkpoint, tmp_path):
  assert LipSync.VALIDATE_INPUTS(checkpoint=checkpoint) is True
  assert 'does not exist' in LipSync.VALIDATE_INPUTS(checkpoint=str(tmp_path / 'nothing'))


def test_pictures_and_speech_give_pictures(comfy, checkpoint, scene, monkeypatch, tmp_path):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  images, audio = scene
  dubbed, sound, rate = LipSync().dub(images, audio, checkpoint, 25.0, length='video')
  assert dubbed.shape == images.shape
  assert dubbed.dtype == torch.float32
  assert 0 <= float(dubbed.min()) <= float(dubbed.max()) <= 1
  assert sound is audio
  assert rate == 25.0
  change = (dubbed - images).abs().mean((0, 3))
  assert float(change[80:, 40:120].max()) > 0.1  # the mouth
  assert float(change[:24].mean()) < 0.01  # above the face
  assert comfy.shown[-1] == (1000, 1000)
  assert comfy.shown[0] == (0, 1000)
  assert not list(tmp_path.iterdir())


def test_a_still_of_odd_size_speaks_as_long_as_the_audio(comfy, checkpoint, scene):
  images, audio = scene
  dubbed, _, rate = LipSync().dub(images[:1, :159, :157], audio, checkpoint, 25.0)
  assert rate == 25.0
  assert dubbed.shape == (-(-audio['waveform'].shape[-1] * 25 // 16_000), 159, 157, 3)


@pytest.mark.parametrize('patience', [0, 3, FRAMES + 3])
def test_an_interruption_ends_the_work(comfy, checkpoint, scene, monkeypatch, tmp_path, patience):
  """At once, while the node looks for faces, and while it dubs."""
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  threads = threading.active_count()
  comfy.patience = patience
  with pytest.raises(Interrupted):
    LipSync().dub(*scene, checkpoint, 25.0)
  assert not list(tmp_path.iterdir())
  assert threading.active_count() <= threads
  comfy.patience = np.inf
  LipSync().dub(*scene, checkpoint, 25.0)  # the next one works


def test_bad_input_is_one_line(comfy, checkpoint, scene):
  with pytest.raises(UserError, match='face_index, face_at, all_faces, speaker and turns each say'):
    LipSync().dub(*scene, checkpoint, 25.0, face_index=0, all_faces=True)


def test_the_bar_is_left_alone_while_the_length_is_unknown(comfy):
  _Meter()(Progress('looking', 3, None, 1.0))
  assert comfy.shown == []


def test_pictures_survive_the_film_but_for_the_resolution_of_colour(scene, tmp_path):
  """Brightness returns within rounding, colour as 4:2:0 has it."""
  images, _ = scene
  _write_film(tmp_path / 'film.mkv', images, 29.97)
  returned = torch.from_numpy(np.stack([*read_frames(tmp_path / 'film.mkv')])).float() / 255
  error = returned - images
  brightness = (error * torch.tensor([0.299, 0.587, 0.114])).sum(-1)
  assert float(brightness.abs().max()) < 3 / 255
  assert float(error.abs().mean()) < 2 / 255
