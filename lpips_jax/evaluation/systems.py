"""What is made of a filmed clip: the network's takes, and the controls that say what its figures are worth.

A generator rebuilds the clip from its masked frames, speech, and a reference: what it was trained to be shown, which is
the clip's mouth at rest or a frame from elsewhere in the clip:
  generated: the clip's own speech;
  other_audio: another speaker's speech, judged by the clip: its lips should not fit;
  cross_audio: the same frames, judged by the speech that they were made of: its lips should fit;
  silent: no sound, judged by the clip's: its mouth should rest, whatever the mouth of the reference does;
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

from lpips_jax.audio.mel import mel_windows
from lpips_jax.core.constants import FRAME_RATE, SAMPLES_A_FRAME
from lpips_jax.evaluation.candidates import Candidate, Clip, silence_for
from lpips_jax.evaluation.references import REFERENCES, elsewhere, trace, usual
from lpips_jax.models.initialise import init_variables
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained.batches import at_size, in_batches
from lpips_jax.pretrained.checkpoint import Pretrained
from lpips_jax.pretrained.devices import on_all_devices

GENERATED = 'generated'
OF_A_GENERATOR = GENERATED, 'other_audio', 'cross_audio', 'silent', 'untrained'
OF_TWO_SPEAKERS = 'other_audio', 'cross_audio'
OF_A_CLIP = 'copy_reference', 'target'
FILMED = 'target'
SETUPS = 'silent', 'matched', 'mismatched'
MakeCandidate = Callable[[], Candidate]
Dub = Callable[[Clip | None], np.ndarray]  # of whose speech, or of silence, frames of one clip's face are made


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


def candidates_of(clip: Clip, other: Clip | None, generators: Mapping[str, Pretrained]) -> dict[str, MakeCandidate]:
  """What makes the takes of a clip, by system; nothing is computed before it is asked for, nor twice.

  Args:
    clip: the clip.
    other: one of another speaker, whose speech is put into this mouth, for generators; None where there is none: then
      what `OF_TWO_SPEAKERS` names must not be asked for.
    generators: by name.
  """
  filmed = as_filmed(clip)
  makers = {}
  for name, generator in generators.items():
    for kind, make in _of_generator(clip, other, generator).items():
      makers[row_name(name, kind)] = make
  copied = dataclasses.replace(filmed, frames=copied_lower_half(clip.frames, elsewhere(clip.frames)), filmed=False)
  return makers | {'copy_reference': lambda: copied, FILMED: lambda: filmed}


def as_filmed(clip: Clip) -> Candidate:
  opening, phones = clip.mouth_opening, clip.phones
  return Candidate(clip.frames, clip.mel, clip.audio, clip.frames, None, opening, phones=phones, filmed=True)


def copied_lower_half(frames: np.ndarray, shown: np.ndarray) -> np.ndarray:
  """The upper half of each frame above the lower half of the reference."""
  upper = (np.arange(frames.shape[1]) < frames.shape[1] // 2)[:, None, None]
  return np.where(upper, frames, shown)


def dubber(clip: Clip, shown: np.ndarray, generator: Pretrained) -> Dub:
  """What makes a generator speak with the face of a clip, to which it is shown these references."""
  config = generator.config
  size, lead = config.model.image_size, config.data.lead
  target, reference = at_size(clip.frames, size), at_size(shown, size)

  def dub(speech: Clip | None) -> np.ndarray:
    heard = silence_for(config, len(clip.mel)) if speech is None else speech.heard_by(config)
    faces = np.asarray(generator_faces(target, reference))
    made = in_batches(generator, faces, mel_windows(heard, FRAME_RATE, len(faces), lead))
    return at_size(made.astype(np.float32), clip.frames.shape[1])

  return dub


def setups(clip: Clip, other: Clip, reference: str, dub: Dub) -> dict[str, MakeCandidate]:
  """What makes the takes of a dub, by what it is made from: `SETUPS`.

  Matched ones are made from the clip's speech and judged by it; mismatched ones from another's and judged by that;
  silent ones from nothing, and judged by the clip's sound, to which lips can only fit by what they were shown.

  Args:
    clip: whose face it is.
    other: whose speech it is.
    reference: which references were shown, of `REFERENCES`. A mouth at rest leaves no trace; what may come through is
      the filmed one, and in matched takes it should.
    dub: makes the frames.
  """
  seen = trace(clip.frames, reference)
  filmed = dataclasses.replace(as_filmed(clip), reference=seen, filmed=False)

  def truth(speech: Clip | None) -> np.ndarray | None:
    return None if clip.dubbed_truth is None else clip.dubbed_truth(speech)

  def mismatched() -> Candidate:
    """As far as both the picture and the other's speech go."""
    length = min(len(clip.frames), len(other.frames))
    audio = None if other.audio is None else other.audio[: length * SAMPLES_A_FRAME]
    frames, true, trace, opening = (
      None if x is None else x[:length] for x in (dub(other), truth(other), seen, other.mouth_opening)
    )
    return Candidate(frames, other.mel, audio, true, trace, opening, phones=other.phones)

  return {
    'silent': lambda: dataclasses.replace(filmed, frames=dub(None), truth=truth(None), speaking=clip.frames),
    'matched': lambda: dataclasses.replace(filmed, frames=dub(clip), reference=None if reference == 'rest' else seen),
    'mismatched': mismatched,
  }


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


def _of_generator(clip: Clip, other: Clip, generator: Pretrained) -> dict[str, MakeCandidate]:
  shown = REFERENCES[usual(generator)](clip.frames)
  dub = cache(dubber(clip, shown, generator))
  of_setups = setups(clip, other, usual(generator), dub)
  filmed = dataclasses.replace(as_filmed(clip), reference=trace(clip.frames, usual(generator)), filmed=False)
  return {
    GENERATED: of_setups['matched'],
    'other_audio': lambda: dataclasses.replace(filmed, frames=dub(other)),
    'cross_audio': of_setups['mismatched'],
    'silent': of_setups['silent'],
    'untrained': lambda: dataclasses.replace(filmed, frames=dubber(clip, shown, untrained(generator))(clip)),
  }
