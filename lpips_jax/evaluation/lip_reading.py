"""Errors of lip readers: what a network reads on the lips of a candidate, beside what they should say."""

import numpy as np

from lpips_jax.audio.alphabets import TIMED, labels_of, timed_labels
from lpips_jax.audio.phones import recognise_phones
from lpips_jax.core.errors import UserError
from lpips_jax.evaluation.candidates import Candidate
from lpips_jax.evaluation.measures import Scores, read_count, reading_measure
from lpips_jax.evaluation.whole_clips import length_of, padded
from lpips_jax.metrics import reading
from lpips_jax.pretrained import Pretrained
from lpips_jax.pretrained.batches import at_size

# By alphabet: why no candidate could be read.
UNMET = {
  'sounds': UserError('nobody knows which sounds are spoken: only talking_faces does'),
  'visemes': UserError('no clip has its sound'),
  'characters': UserError('no clip has a transcript: prepare and build the corpus again, from files that have them'),
}


def errors(name: str, reader: Pretrained, frames: np.ndarray, candidate: Candidate) -> Scores:
  """Returns the error rates of a lip reader, and how many units each is of; none where nothing is said.

  A whole clip is read at once.

  Args:
    name: of the reader, for the names of its measures.
    reader: the network.
    frames: (t, h, w, 3) in [0, 1], those of the candidate.
    candidate: knows what the lips should say; sounds and visemes whose middle lies in the frames count.
  """
  alphabet = reader.config.model.alphabet
  said = said_by(candidate, alphabet)
  if not len(said):
    return {}
  crops, found = at_size(frames, reader.config.model.image_size), Scores()
  logits = np.asarray(reader(padded(crops), length_of(crops)))[0]
  for unit, edits in reading.errors(said.tolist(), reading.likeliest(logits, len(crops)), alphabet).items():
    found |= {reading_measure(unit, name): edits.rate, read_count(unit, name): edits.said}
  return found


def said_by(candidate: Candidate, alphabet: str) -> np.ndarray:
  """Returns the labels that the lips of a candidate should say, (l,) int; none where that is unknown."""
  if alphabet not in TIMED:
    return labels_of(alphabet, text=candidate.text)
  sounds, ends, phones = candidate.sounds, candidate.sound_ends, candidate.phones
  if sounds is None and alphabet == 'sounds':
    return np.zeros(0, np.int32)
  if sounds is None and phones is None:
    if candidate.audio is None:
      return np.zeros(0, np.int32)
    phones = recognise_phones(candidate.audio / 32768)
  return timed_labels(alphabet, sounds, ends, phones).between(0, len(candidate.frames))
