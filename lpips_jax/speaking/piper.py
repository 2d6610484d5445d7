"""Neural voices from files that piper takes, by the package piper-tts."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lpips_jax.core.errors import UserError, first_line
from lpips_jax.speaking.text import sentences
from lpips_jax.speaking.utterance import Cue, Utterance

SEED = 0  # of the noise that the network draws
ERRORS = 3  # the runtime's severity: its remarks on a network are nobody's concern
PAUSE = 0.2  # seconds after a sentence
OFFLINE_KINDS = 'espeak', 'text'  # of phonemes; piper fetches further networks for others
MAX_SENTENCE = 600  # characters that are said at once: the network's memory grows with them


def say(text: str, voice: str, language: str | None = None) -> Utterance:
  """Says a text; see `speaking.say`.

  Args:
    text: from `text.cleaned`.
    voice: the path of its network, `….onnx`; its description is beside it, `….onnx.json`.
    language: for a check: the voice speaks one only.

  Raises:
    UserError: piper is not installed, the voice cannot be used, or it speaks another language.
  """
  path = Path(voice)
  description = _description(path)
  spoken = _languages(description)
  if language is not None and not _speaks(language, spoken):
    raise UserError(f'voice={path} speaks {spoken[0]}, not language={language}: give another', 'voice', 'language')
  network = _load(path)
  rate = network.config.sample_rate
  silence = np.zeros(round(PAUSE * rate), np.int16)
  pieces: list[np.ndarray] = []
  cues: list[Cue] = []
  length, unsaid = 0, ''
  for sentence in sentences(text, MAX_SENTENCE):
    sentence = unsaid + sentence
    samples, spans = _synthesise(network, path, sentence)
    unsaid = '' if spans else sentence
    for begin, end, part in spans:
      cues.append(Cue((length + begin) / rate, (length + end) / rate, part))
    if spans:
      pieces += [samples, silence]
      length += len(samples) + len(silence)
  if not cues:
    raise UserError(f'voice={path} finds nothing in text that it can say', 'text', 'voice')
  cues[-1] = replace(cues[-1], text=cues[-1].text + unsaid)
  return Utterance(np.concatenate(pieces), rate, tuple(cues), f'piper voice {path.stem}, {spoken[0]}')


def _description(path: Path) -> dict[str, Any]:
  """Returns what the file beside the network says of it."""
  beside = Path(f'{path}.json')
  for file in path, beside:
    if not file.is_file():
      raise UserError(f'voice={path} needs the files {path.name} and {beside.name}: {file} is not there', 'voice')
  try:
    description = json.loads(beside.read_text('utf-8'))
    kind = description.get('phoneme_type', 'espeak')
    rate = description['audio']['sample_rate']
    for part in ('language', 'espeak'):
      (description.get(part) or {}).get('code')  # an AttributeError if it is no object
  except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
    raise UserError(f'voice={path}: {beside.name} is no description of it: {first_line(error)}', 'voice') from error
  if kind not in OFFLINE_KINDS:
    raise UserError(f'voice={path} reads text by {kind}, which fetches further networks: give another', 'voice')
  if not isinstance(rate, int) or rate <= 0:
    raise UserError(f'voice={path}: {beside.name} is no description of it: its sample_rate is {rate!r}', 'voice')
  return description


def _languages(description: dict[str, Any]) -> list[str]:
  """Returns the names of the language that a voice speaks, the most precise first."""
  language, espeak = description.get('language') or {}, description.get('espeak') or {}
  names = [language.get('code'), espeak.get('voice'), language.get('family'), language.get('name_english')]
  return [str(name).lower().replace('_', '-') for name in names if name] or ['of unknown language']


def _speaks(language: str, spoken: list[str]) -> bool:
  wanted = language.lower().replace('_', '-')
  return wanted in spoken or wanted in [name.partition('-')[0] for name in spoken] or spoken == ['of unknown language']


def _load(path: Path) -> Any:
  try:
    import onnxruntime  # here, because they are optional
    from piper import PiperVoice
  except ImportError as error:
    raise UserError(f"voice={path} needs piper: pip install 'lpips-jax[piper]'", 'voice') from error
  onnxruntime.set_default_logger_severity(ERRORS)
  onnxruntime.set_seed(SEED)  # networks take their generators from it as they are loaded
  try:
    return PiperVoice.load(path)
  except Exception as error:  # of the runtime, or of a description that lacks something
    raise UserError(f'voice={path} is no voice of piper: {first_line(error)}', 'voice') from error


def _synthesise(network: Any, path: Path, sentence: str) -> tuple[np.ndarray, list[tuple[int, int, str]]]:
  """Returns samples, (S,) int16, and the first and the last + 1 sample of its words, or of all of it."""
  aligned = len(network.session.get_outputs()) > 1
  plain = sentence.replace('[[', '[').replace(']]', ']')  # which would be phonemes
  try:
    chunks = list(network.synthesize(plain, **({'include_alignments': True} if aligned else {})))
  except Exception as error:
    raise UserError(f'voice={path} fails on {sentence[:20]!r}: {first_line(error)}', 'voice') from error
  if not chunks or not any(chunk.audio_int16_array.size for chunk in chunks):
    return np.zeros(0, np.int16), []
  samples = np.concatenate([np.atleast_1d(chunk.audio_int16_array) for chunk in chunks])
  alignments = chunks[0].phoneme_alignments if aligned and len(chunks) == 1 else None
  return samples, _words(sentence, alignments, len(samples)) or [(0, len(samples), sentence)]


def _words(sentence: str, alignments: Any, length: int) -> list[tuple[int, int, str]]:
  """Returns the spans of the words; none if the voice does not tell, or counts other words."""
  written = re.findall(r'\s*\S+\s*', sentence)
  spans, begin, end = [], 0, 0
  for place, alignment in enumerate(alignments or ()):
    end += int(alignment.num_samples)
    if alignment.phoneme == ' ' or place == len(alignments) - 1:
      spans.append((begin, end))
      begin = end
  if len(spans) != len(written) or end != length or any(first == last for first, last in spans):
    return []
  return [(*span, word) for span, word in zip(spans, written, strict=True)]
