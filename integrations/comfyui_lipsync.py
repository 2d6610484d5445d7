"""A node for ComfyUI: pictures of a face and speech in, pictures with a mouth that speaks it out.

Copy or link this file into ComfyUI's `custom_nodes`, and install the project into ComfyUI's Python; docs/sharing.md
shows both. The node returns pictures, not a file, so marks of provenance are up to whoever saves them; `label` writes
"AI MODIFIED" into the pictures themselves.
"""

import tempfile
import wave
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lpips_jax.core.errors import UserError
from lpips_jax.core.jax_environment import keep_compiled_programs, share_accelerators
from lpips_jax.core.progress import Progress
from lpips_jax.dubbing import Dubber, Options
from lpips_jax.dubbing.options import LABELS, LENGTHS, SILENCES
from lpips_jax.media.video_reader import VideoInfo, probe
from lpips_jax.media.video_writer import write_video

if TYPE_CHECKING:
  import torch

MOST_PROMINENT = -1  # as a face's number
LOSSLESS = 0  # crf of h264

keep_compiled_programs()  # before anything imports JAX
share_accelerators()  # which PyTorch works on, too


class LipSync:
  """The node, by ComfyUI's protocol."""

  CATEGORY = 'video/lip sync'
  FUNCTION = 'dub'
  RETURN_TYPES = 'IMAGE', 'AUDIO', 'FLOAT'
  RETURN_NAMES = 'images', 'audio', 'frame_rate'
  DESCRIPTION = 'Gives a face a mouth that speaks the audio: for people who agreed to it, labelled as synthetic.'

  @classmethod
  def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
    """Returns the inputs, with their types, defaults and ranges."""
    return {
      'required': {
        'images': ('IMAGE',),
        'audio': ('AUDIO',),
        'checkpoint': ('STRING', {'default': 'runs/demo/checkpoint', 'tooltip': "A generator's checkpoint directory."}),
        'frame_rate': (
          'FLOAT',
          {'default': 25.0, 'min': 1.0, 'max': 240.0, 'step': 0.001, 'tooltip': 'Of images.'},
        ),
      },
      'optional': {
        'length': (list(LENGTHS), {'tooltip': 'Of the result; a video shorter than the audio plays there and back.'}),
        'silence': (list(SILENCES), {'tooltip': 'Mouths in pauses: as the generator makes them, or shut.'}),
        'face_index': (
          'INT',
          {'default': MOST_PROMINENT, 'min': MOST_PROMINENT, 'max': 63, 'tooltip': '0: the leftmost; -1: the largest.'},
        ),
        'all_faces': ('BOOLEAN', {'default': False}),
        'label': (list(LABELS), {'tooltip': 'corner writes "AI MODIFIED" into the pictures.'}),
      },
    }

  @classmethod
  def VALIDATE_INPUTS(cls, checkpoint: str) -> bool | str:
    """Returns True, or a line that says why the checkpoint is none."""
    from lpips_jax.pretrained import find

    try:
      find(checkpoint)
    except UserError as error:
      return str(error)
    return True

  def dub(
    self,
    images: 'torch.Tensor',
    audio: dict[str, Any],
    checkpoint: str,
    frame_rate: float,
    length: str = LENGTHS[0],
    silence: str = SILENCES[0],
    face_index: int = MOST_PROMINENT,
    all_faces: bool = False,
    label: str = LABELS[0],
  ) -> tuple['torch.Tensor', dict[str, Any], float]:
    """Dubs pictures.

    Args:
      images: (n, h, w, 3) float in [0, 1], RGB; one picture alone is a still.
      audio: `waveform`, (1, channels, samples) float in [-1, 1], and `sample_rate`.
      checkpoint: a generator's checkpoint directory.
      frame_rate: pictures a second.
      length: see `Options`, as for the rest.
      silence: likewise.
      face_index: likewise; -1 is the most prominent face.
      all_faces: likewise.
      label: likewise.

    Returns:
      Pictures like `images`, `audio`, and pictures a second, which are more than `frame_rate` where that is so low that
      mouths would jerk.

    Raises:
      UserError: an input is bad.
    """
    import torch

    chosen = None if face_index == MOST_PROMINENT else face_index
    options = Options(length=length, silence=silence, face_index=chosen, all_faces=all_faces, label=label)
    height, width = images.shape[1:3]
    with tempfile.TemporaryDirectory() as directory:
      face, speech = Path(directory) / 'face.mkv', Path(directory) / 'speech.wav'
      _write_film(face, images, frame_rate)
      _write_sound(speech, audio)
      dubbed = [shown.rgb for shown in _dubber(checkpoint).stream(face, speech, options, report=_Meter())]
      rate = probe(face).rate
    pictures = torch.from_numpy(np.stack(dubbed)[:, :height, :width])  # films have even sides
    return pictures.to(torch.float32).div_(255), audio, float(rate)


NODE_CLASS_MAPPINGS: dict[str, type] = {'LipSyncJAX': LipSync}
NODE_DISPLAY_NAME_MAPPINGS = {'LipSyncJAX': 'Lip sync (JAX)'}


class _Meter:
  """Shows how far a dub is, and ends it when the user of ComfyUI interrupts."""

  _bars: ClassVar[int] = 1000  # steps of the bar

  def __init__(self) -> None:
    from comfy.utils import ProgressBar

    self._bar = ProgressBar(self._bars)

  def __call__(self, progress: Progress) -> None:
    from comfy.model_management import throw_exception_if_processing_interrupted

    throw_exception_if_processing_interrupted()
    if progress.total:
      self._bar.update_absolute(min(self._bars, self._bars * progress.done // progress.total), self._bars)


@lru_cache(maxsize=1)
def _dubber(checkpoint: str) -> Dubber:
  """Returns the generator that was used last, which stays compiled, or another one."""
  return Dubber(checkpoint, progress=False)


def _write_film(path: Path, images: 'torch.Tensor', frame_rate: float) -> None:
  """Writes pictures without loss, but for colours at half resolution, which is all that the engine takes."""
  height, width = images.shape[1:3]
  rate = Fraction(frame_rate).limit_denominator(1001)
  with write_video(path, VideoInfo(width, height, rate), crf=LOSSLESS) as write:
    for image in images:
      write((image[..., :3].clamp(0, 1) * 255).round().byte().cpu().numpy())


def _write_sound(path: Path, audio: dict[str, Any]) -> None:
  """Writes the first sound of a batch, 16 bits a sample."""
  samples = audio['waveform'][0].clamp(-1, 1).cpu().numpy()
  with wave.open(str(path), 'wb') as file:
    file.setnchannels(samples.shape[0])
    file.setsampwidth(2)
    file.setframerate(audio['sample_rate'])
    file.writeframes(np.round(samples.T * 32767).astype('<i2').tobytes())
