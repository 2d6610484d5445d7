"""Systems that rebuild a filmed clip: generators, and the controls that give their figures a scale.

A generator rebuilds the clip from its masked frames, speech, and references of the kind that it was trained with: the
clip's mouth at rest, or a frame from elsewhere in the clip:
  generated: the clip's own speech;
  other_audio: another speaker's speech, scored against the clip's: its lips should not fit;
  cross_audio: the same frames, scored against the speech that they were made from: its lips should fit;
  silent: no sound, scored against the clip's: its mouth should rest, whatever the mouth of the reference does;
  untrained: the same network before training.
Without a generator:
  copy_reference: the lower half of the reference frame, unchanged, below the true upper half;
  oracle: the true frames of this face speaking another speaker's words, scored against those: what `cross_audio` could
    reach at best. Only corpora that draw their speakers have it;
  target: the true frames, which get the best scores that the measures allow.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

from lpips_jax.audio.condition import windows_for
from lpips_jax.core.constants import SAMPLES_PER_FRAME
from lpips_jax.evaluation.candidates import Candidate, Clip, MakeCandidate, silence_for
from lpips_jax.evaluation.references import elsewhere, leaking_faces, reference_of, references_of
from lpips_jax.models.initialise import init_variables
from lpips_jax.models.inputs import generator_faces
from lpips_jax.pretrained import Exported, Pretrained
from lpips_jax.pretrained.batches import at_size, in_batches
from lpips_jax.pretrained.devices import on_all_devices

GENERATED, UNTRAINED, ORACLE, FILMED = 'generated', 'untrained', 'oracle', 'target'
TWO_SPEAKER_SYSTEMS = 'other_audio', 'cross_audio', ORACLE
GENERATOR_SYSTEMS = GENERATED, 'other_audio', 'cross_audio', 'silent', UNTRAINED
CLIP_SYSTEMS = 'copy_reference', ORACLE, FILMED
SETUPS = 'silent', 'matched', 'mismatched'  # the speech that a candidate is made from: see `candidates_by_setup`
Dub = Callable[[Clip | None], np.ndarray]  # the speech of a clip, or None for silence -> frames of one face


def names(
  generators: Mapping[str, Pretrained | Exported], one_speaker: bool = False, with_oracle: bool = False
) -> dict[str, str | None]:
  """Returns all systems in the order of the table, each with the name of the generator that it needs, if any.

  Args:
    generators: by name.
    one_speaker: leaves out the systems that need the speech of a second speaker.
    with_oracle: the clips have a `dubbed_truth`.
  """
  left_out = {*(TWO_SPEAKER_SYSTEMS if one_speaker else ()), *(() if with_oracle else (ORACLE,))}
  of_generators: dict[str, str | None] = {
    system_name(name, kind): name
    for name, generator in generators.items()
    for kind in _systems_of(generator)
    if kind not in left_out
  }
  of_clips = [kind for kind in CLIP_SYSTEMS if kind not in left_out] if generators else [FILMED]
  return of_generators | dict.fromkeys(of_clips)


def system_name(generator: str, kind: str) -> str:
  """Returns `other_audio` for the one generator of an evaluation, `wav2lip other_audio` for one of several."""
  if kind == GENERATED:
    return generator
  return kind if generator == GENERATED else f'{generator} {kind}'


def candidates_of(
  clip: Clip, other: Clip | None, generators: Mapping[str, Pretrained | Exported]
) -> dict[str, MakeCandidate]:
  """Returns functions that make the candidates of a clip, by system; they compute nothing twice.

  Args:
    clip: the clip.
    other: a clip of another speaker, whose speech generators put into this mouth. None if there is none: the candidates
      of `TWO_SPEAKER_SYSTEMS` are then missing.
    generators: by name.
  """
  filmed = _as_filmed(clip)
  makers: dict[str, MakeCandidate] = {}
  for name, generator in generators.items():
    for kind, make in _generator_candidates(clip, other, generator).items():
      makers[system_name(name, kind)] = make
  copied = dataclasses.replace(filmed, frames=copied_lower_half(clip.frames, elsewhere(clip.frames)), filmed=False)
  makers['copy_reference'] = lambda: copied
  if other is not None and clip.dubbed_truth is not None:
    makers[ORACLE] = lambda: _mismatched(clip, other, clip.frames, true_dub(clip))
  return makers | {FILMED: lambda: filmed}


def copied_lower_half(frames: np.ndarray, references: np.ndarray) -> np.ndarray:
  """Returns the upper half of each frame above the lower half of its reference, (t, h, w, 3)."""
  upper = (np.arange(frames.shape[1]) < frames.shape[1] // 2)[:, None, None]
  return np.where(upper, frames, references)


def true_dub(clip: Clip) -> Dub:
  """Returns the dub that is the truth: this face as it is when it says something else; ValueError without any."""
  truth = clip.dubbed_truth
  if truth is None:
    raise ValueError(f'{clip.name} has no dubbed_truth, which the oracle shows')
  return lambda speech: clip.frames if speech is clip else truth(speech)


def generator_dub(clip: Clip, references: np.ndarray, generator: Pretrained | Exported) -> Dub:
  """Returns a function that dubs the face of a clip with a generator.

  Args:
    clip: whose face is dubbed.
    references: (t, h, w, 3) uint8, shown to the generator, one for each frame.
    generator: makes the frames.
  """
  config = generator.config
  size = config.model.image_size
  target, reference = at_size(clip.frames, size), at_size(references, size)

  def dub(speech: Clip | None) -> np.ndarray:
    heard = silence_for(config, len(clip.mel)) if speech is None else speech.heard_by(config)
    faces = np.asarray(generator_faces(target, reference))
    generated = in_batches(generator, faces, windows_for(config, heard, len(faces)))
    return at_size(generated.astype(np.float32), clip.frames.shape[1])

  return dub


def candidates_by_setup(clip: Clip, other: Clip | None, reference: str, dub: Dub) -> dict[str, MakeCandidate]:
  """Returns functions that make the candidates of a dub, by the speech that they are made from: `SETUPS`.

  Matched ones are made from the clip's speech and scored against it; mismatched ones are made from another clip's and
  scored against that; silent ones are made from nothing and scored against the clip's sound, which lips can only fit by
  what the references showed.

  Args:
    clip: whose face is dubbed.
    other: whose speech mismatched candidates are made from; without it there are none.
    reference: the name of the references that were shown, in `REFERENCES`. A mouth at rest leaves no trace; what may
      come through is the filmed one, and in matched candidates it should.
    dub: makes the frames.
  """
  leaking = leaking_faces(clip.frames, reference)
  filmed = dataclasses.replace(_as_filmed(clip), reference=leaking, filmed=False)

  def silent() -> Candidate:
    return dataclasses.replace(filmed, frames=dub(None), truth=_dubbed_truth(clip, None), speaking=clip.frames)

  def matched() -> Candidate:
    return dataclasses.replace(filmed, frames=dub(clip), reference=None if reference == 'rest' else leaking)

  candidates: dict[str, MakeCandidate] = {'silent': silent, 'matched': matched}
  if other is not None:
    candidates['mismatched'] = lambda: _mismatched(clip, other, leaking, dub)
  return candidates


def other_speaker(index: int, speakers: Sequence[str]) -> int:
  """Returns the index of the clip half the list away, or of the next one after it that has another speaker.

  Raises:
    ValueError: all clips are of one speaker.
  """
  for step in range(len(speakers)):
    other = (index + len(speakers) // 2 + step) % len(speakers)
    if speakers[other] != speakers[index]:
      return other
  raise ValueError('the control with another speaker needs clips of at least two speakers')


@cache
def untrained(generator: Pretrained) -> Pretrained:
  """Returns the same network as it was before training."""
  fresh = init_variables(generator.model, generator.config.model, generator.config.seed)
  return on_all_devices(dataclasses.replace(generator, variables=fresh, step=0))


def _systems_of(generator: Pretrained | Exported) -> Sequence[str]:
  """The systems of a generator; exported StableHLO cannot be had untrained."""
  return [kind for kind in GENERATOR_SYSTEMS if kind != UNTRAINED or isinstance(generator, Pretrained)]


def _generator_candidates(clip: Clip, other: Clip | None, generator: Pretrained | Exported) -> dict[str, MakeCandidate]:
  references, reference = references_of(generator.config.data, clip.frames), reference_of(generator.config.data)
  dub = cache(generator_dub(clip, references, generator))
  by_setup = candidates_by_setup(clip, other, reference, dub)
  rebuilt = dataclasses.replace(_as_filmed(clip), reference=leaking_faces(clip.frames, reference), filmed=False)
  candidates: dict[str, MakeCandidate] = {GENERATED: by_setup['matched']}
  if other is not None:
    candidates['other_audio'] = lambda: dataclasses.replace(rebuilt, frames=dub(other))
    candidates['cross_audio'] = by_setup['mismatched']
  candidates['silent'] = by_setup['silent']
  if isinstance(generator, Pretrained):
    candidates[UNTRAINED] = lambda: dataclasses.replace(
      rebuilt, frames=generator_dub(clip, references, untrained(generator))(clip)
    )
  return candidates


def _as_filmed(clip: Clip) -> Candidate:
  return Candidate(
    clip.frames,
    clip.mel,
    clip.audio,
    clip.frames,
    mouth_opening=clip.mouth_opening,
    phones=clip.phones,
    sounds=clip.sounds,
    sound_ends=clip.sound_ends,
    text=clip.text,
    filmed=True,
  )


def _mismatched(clip: Clip, other: Clip, leaking: np.ndarray, dub: Dub) -> Candidate:
  """A candidate made from another clip's speech, as long as the shorter of the two."""
  length = min(len(clip.frames), len(other.frames))
  truth, opening = _dubbed_truth(clip, other), other.mouth_opening
  return Candidate(
    dub(other)[:length],
    other.mel,
    None if other.audio is None else other.audio[: length * SAMPLES_PER_FRAME],
    None if truth is None else truth[:length],
    leaking[:length],
    None if opening is None else opening[:length],
    phones=other.phones,
    sounds=other.sounds,
    sound_ends=other.sound_ends,
    text=other.text if length == len(other.frames) else '',  # nobody knows when its words are said
  )


def _dubbed_truth(clip: Clip, speech: Clip | None) -> np.ndarray | None:
  return None if clip.dubbed_truth is None else clip.dubbed_truth(speech)
