"""What is made of a filmed clip: the network's takes, and the controls that say what its figures are worth.

A generator rebuilds the clip from its masked frames, a reference frame from elsewhere in the clip, and speech:
  generated: the clip's own speech;
  other_audio: another speaker's speech, judged by the clip: its lips should not fit;
  cross_audio: the same frames, judged by the speech that they were made of: its lips should fit;
  silent: no sound, judged by the clip: its mouth should rest, whatever the mouth of the reference does;
  untrained: the same network before training.
Without it:
  copy_reference: the lower half of the reference frame, as it is, below the true upper half;
  target: the true frames, which is as good as the measures get.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from lpips_jax.conventions import FRAME_RATE, SAMPLES_A_FRAME
from lpips_jax.devices import on_all_devices
from lpips_jax.evaluation.batches import at_size, in_batches
from lpips_jax.evaluation.takes import Clip, Take
from lpips_jax.media.audio import MAX_VALUE, mel_windows
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained import Pretrained
from lpips_jax.training.state import init_variables

GENERATED = 'generated'
OF_A_GENERATOR = GENERATED, 'other_audio', 'cross_audio', 'silent', 'untrained'
OF_TWO_SPEAKERS = 'other_audio', 'cross_audio'
OF_A_CLIP = 'copy_reference', 'target'
FILMED = 'target'
Make = Callable[[], Take]


def names(generators: Mapping[str, Any], alone: bool = False) -> dict[str, str | None]:
  """All systems in the order of their rows, each with the name of the generator that it needs, if any.

  Where one speaker is `alone`, those that need another are left out.
  """
  left_out = OF_TWO_SPEAKERS if alone else ()
  of_generators = {
    row_name(name, kind): name for name in generators for kind in _kinds(generators[name]) if kind not in left_out
  }
  return of_generators | dict.fromkeys(OF_A_CLIP if generators else (FILMED,))


def row_name(generator: str, kind: str) -> str:
  """`other_audio` for the one generator of an evaluation, `wav2lip other_audio` for one of several."""
  if kind == GENERATED:
    return generator
  return kind if generator == GENERATED else f'{generator} {kind}'


def takes_of(clip: Clip, other: Clip | None, generators: Mapping[str, Pretrained]) -> dict[str, Make]:
  """What makes the takes of a clip, by system; nothing is computed before it is asked for, nor twice.

  Args:
    clip: the clip.
    other: one of another speaker, whose speech is put into this mouth, for generators; None where there is none: then
      what `OF_TWO_SPEAKERS` names must not be asked for.
    generators: by name.
  """
  shown = np.roll(clip.frames, len(clip.frames) // 2, axis=0)
  filmed = Take(clip.frames, clip.mel, clip.audio, clip.frames, None, clip.mouth_opening, filmed=True)
  makers = {}
  for name, generator in generators.items():
    for kind, make in _of_generator(filmed, shown, other, generator).items():
      makers[row_name(name, kind)] = make
  upper = (np.arange(clip.frames.shape[1]) < clip.frames.shape[1] // 2)[:, None, None]
  copied = dataclasses.replace(filmed, frames=np.where(upper, clip.frames, shown), filmed=False)
  return makers | {'copy_reference': lambda: copied, FILMED: lambda: filmed}


def other_speaker(index: int, speakers: Sequence[str]) -> int:
  """The clip half the list away, or the next after it, of somebody else; raises ValueError when all are of one."""
  for step in range(len(speakers)):
    other = (index + len(speakers) // 2 + step) % len(speakers)
    if speakers[other] != speakers[index]:
      return other
  raise ValueError('the control with another speaker needs clips of at least two speakers')


@cache
def untrained(generator: Pretrained) -> Pretrained:
  """The same network as it was before training."""
  fresh = init_variables(generator.model, generator.config.model, generator.config.seed)
  return on_all_devices(dataclasses.replace(generator, variables=fresh, step=0))


def _kinds(generator: Any) -> Sequence[str]:
  return OF_A_GENERATOR if isinstance(generator, Pretrained) else OF_A_GENERATOR[:-1]  # StableHLO is trained for good


def _of_generator(filmed: Take, shown: np.ndarray, other: Clip, generator: Pretrained) -> dict[str, Make]:
  size, lead = generator.config.model.image_size, generator.config.data.lead
  target, reference = at_size(filmed.frames, size), at_size(shown, size)

  def generate(network: Pretrained, mel: np.ndarray) -> np.ndarray:
    faces = np.asarray(generator_faces(target, reference))
    made = in_batches(network, faces, mel_windows(mel, FRAME_RATE, len(faces), lead))
    return at_size(made.astype(np.float32), filmed.frames.shape[1])

  @cache
  def with_other_speech() -> np.ndarray:
    return generate(generator, other.mel)

  def cross() -> Take:
    """As far as both the picture and the other's speech go."""
    length = min(len(filmed.frames), len(other.frames))
    audio = None if other.audio is None else other.audio[: length * SAMPLES_A_FRAME]
    opening = None if other.mouth_opening is None else other.mouth_opening[:length]
    return Take(with_other_speech()[:length], other.mel, audio, None, shown[:length], opening)

  def made_of(make: Callable[[], np.ndarray], truth: np.ndarray | None = filmed.truth) -> Make:
    return lambda: dataclasses.replace(filmed, frames=make(), truth=truth, reference=shown, filmed=False)

  silence = np.full_like(filmed.mel, -MAX_VALUE)
  return {
    GENERATED: made_of(lambda: generate(generator, filmed.mel)),
    'other_audio': made_of(with_other_speech),
    'cross_audio': cross,
    'silent': made_of(lambda: generate(generator, silence), truth=None),
    'untrained': made_of(lambda: generate(untrained(generator), filmed.mel)),
  }
