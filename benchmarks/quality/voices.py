"""Voices that say texts: phones that a recogniser mishears, times, speed, and words whose spelling is read right.

  python -m benchmarks.quality.voices --output=voices.json [--voices=builtin,espeak:f3] [--dictionary=cmudict.dict]

- Phones: the edit distance between what was to be said, by the CMU pronouncing dictionary, and what the project's
  recogniser hears; and the same with sounds that look alike taken for one.
- Times: at pauses, how far the first and the last sound are from the cues of the words.
- Speed: a sentence in a fresh process, from the start of Python to the WAV file; the least of five.
- Spelling, with a dictionary in the form of CMU's: phones that the built-in voice gives its words, stress left out.
"""

import itertools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from math import gcd
from pathlib import Path

import numpy as np
from absl import flags
from scipy.signal import resample_poly

from benchmarks import commands
from lpips_jax.audio.phones import PHONES, recognise_phones
from lpips_jax.core import cli
from lpips_jax.core.constants import SAMPLE_RATE
from lpips_jax.speaking import Utterance, say
from lpips_jax.speaking.pronouncing import pronounce

SENTENCES = """
The quick brown fox jumps over the lazy dog.
DH AH K W IH K B R AW N F AA K S JH AH M P S OW V ER DH AH L EY Z IY D AO G
My baby brother bought a big blue boat.
M AY B EY B IY B R AH DH ER B AA T AH B IH G B L UW B OW T
Please bring me the paper before the meeting begins.
P L IY Z B R IH NG M IY DH AH P EY P ER B IH F AO R DH AH M IY T IH NG B IH G IH N Z
She sells fresh fish at the market every Saturday.
SH IY S EH L Z F R EH SH F IH SH AE T DH AH M AA R K AH T EH V ER IY S AE T ER D IY
We should leave the house early in the morning.
W IY SH UH D L IY V DH AH HH AW S ER L IY IH N DH AH M AO R N IH NG
Nobody knows what will happen to the old bridge.
N OW B AA D IY N OW Z W AH T W IH L HH AE P AH N T UW DH AH OW L D B R IH JH
The children were playing football in the park.
DH AH CH IH L D R AH N W ER P L EY IH NG F UH T B AO L IH N DH AH P AA R K
Can you help me carry this heavy box upstairs?
K AE N Y UW HH EH L P M IY K AE R IY DH IH S HH EH V IY B AA K S AH P S T EH R Z
A cup of hot tea is good on a cold day.
AH K AH P AH V HH AA T T IY IH Z G UH D AA N AH K OW L D D EY
He opened the window because the room was warm.
HH IY OW P AH N D DH AH W IH N D OW B IH K AO Z DH AH R UW M W AA Z W AO R M
The computer makes the lips move with the voice.
DH AH K AH M P Y UW T ER M EY K S DH AH L IH P S M UW V W IH DH DH AH V OY S
I would like to visit my family in the summer.
AY W UH D L AY K T UW V IH Z IH T M AY F AE M AH L IY IH N DH AH S AH M ER
Five small boys found money under the table.
F AY V S M AO L B OY Z F AW N D M AH N IY AH N D ER DH AH T EY B AH L
The moon rises slowly above the silent mountains.
DH AH M UW N R AY Z AH Z S L OW L IY AH B AH V DH AH S AY L AH N T M AW N T AH N Z
Tell your mother that dinner is nearly ready.
T EH L Y AO R M AH DH ER DH AE T D IH N ER IH Z N IH R L IY R EH D IY
They walked along the river and talked about music.
DH EY W AO K T AH L AO NG DH AH R IH V ER AH N D T AO K T AH B AW T M Y UW Z IH K
Most people think that the answer is very simple.
M OW S T P IY P AH L TH IH NG K DH AE T DH AH AE N S ER IH Z V EH R IY S IH M P AH L
This machine was made in a factory near the city.
DH IH S M AH SH IY N W AA Z M EY D IH N AH F AE K T ER IY N IH R DH AH S IH T IY
Put the yellow flowers on top of the shelf.
P UH T DH AH Y EH L OW F L AW ER Z AA N T AA P AH V DH AH SH EH L F
Thank you for watching, and have a wonderful evening.
TH AE NG K Y UW F AO R W AA CH IH NG AH N D HH AE V AH W AH N D ER F AH L IY V N IH NG
"""
LOOK_ALIKE = ('P B M', 'F V', 'S Z', 'T D N TH DH L', 'K G NG HH', 'SH ZH CH JH', 'Y IY IH', 'EH AE EY', 'AA AH AY AW',
              'AO OW OY', 'UW UH')  # fmt: skip
PAUSED = 'Many men are late. Nobody knows, however; we are waiting. She said so, really: now we all know.'
QUIET = 10 ** (-55 / 20)  # of full scale: silence is below it
LEVELS = 400  # short-time levels a second
STARTS = 5


def define_flags() -> None:
  flags.DEFINE_list('voices', ['builtin', 'espeak'], 'The voices.')
  flags.DEFINE_string('dictionary', None, 'A pronouncing dictionary, one word a line, such as cmudict.dict.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')


def main() -> None:
  given = flags.FLAGS
  commands.require_directory_of(given.output)
  figures: dict[str, dict[str, float]] = {}
  print(
    '| voice | phones misheard | alike taken for one | edges off by at most | a sentence |\n|---|---:|---:|---:|---:|'
  )
  for voice in given.voices:
    exact, alike = misheard(voice)
    figure = {'phones': exact, 'alike': alike, 'edges': edges(say(PAUSED, voice)), 'seconds': seconds(voice)}
    figures[voice] = figure
    print(
      f'| {voice} | {exact:.0%} | {alike:.0%} | {1000 * figure["edges"]:.0f} ms | {figure["seconds"]:.1f} s |',
      flush=True,
    )
  if given.dictionary:
    figures['spelling'] = spelling(Path(given.dictionary))
    print('{words:.0f} words: {right:.0%} right, {phones:.0%} of the phones wrong'.format(**figures['spelling']))
  commands.write_figures(given.output, figures)


def misheard(voice: str) -> tuple[float, float]:
  """Returns the share of phones that are misheard, and of those that look different."""
  classes = {phone: phones for phones in LOOK_ALIKE for phone in phones.split()}
  errors, alike, phones = 0, 0, 0
  lines = SENTENCES.strip().splitlines()
  for text, said in zip(lines[::2], lines[1::2], strict=True):
    wanted, heard = said.split(), hear(say(text, voice))
    errors += distance(wanted, heard)
    alike += distance([classes.get(phone, phone) for phone in wanted], [classes.get(phone, phone) for phone in heard])
    phones += len(wanted)
  return errors / phones, alike / phones


def hear(utterance: Utterance) -> list[str]:
  """Returns the phones that the recogniser hears."""
  common = gcd(SAMPLE_RATE, utterance.sample_rate)
  samples = resample_poly(utterance.samples / 32768, SAMPLE_RATE // common, utterance.sample_rate // common)
  return [PHONES[row] for row, _ in itertools.groupby(recognise_phones(samples.astype(np.float32))) if row]


def distance(a: Sequence[str], b: Sequence[str]) -> int:
  """Returns the least number of insertions, deletions and substitutions between two sequences."""
  row = list(range(len(b) + 1))
  for i, x in enumerate(a, start=1):
    before, row[0] = row[0], i
    for j, y in enumerate(b, start=1):
      before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
  return row[-1]


def edges(utterance: Utterance) -> float:
  """Returns the most seconds between the sound around pauses and the cues; pauses that are not silent are left out."""
  hop = utterance.sample_rate / LEVELS
  starts = np.round(np.arange(0, len(utterance.samples), hop)).astype(int)
  powers = np.add.reduceat((utterance.samples / 32768.0) ** 2, starts) / hop
  loud = np.flatnonzero(np.sqrt(powers) > QUIET)
  found = [0.0]
  for before, after in itertools.pairwise(utterance.cues):
    middle = (before.end + after.begin) / 2 * LEVELS
    if after.begin - before.end > 0.08 and np.abs(loud - middle).min() > 1:
      found.append(abs((loud[loud < middle][-1] + 1) / LEVELS - before.end))
      found.append(abs(loud[loud > middle][0] / LEVELS - after.begin))
  return max(found)


def seconds(voice: str) -> float:
  """Returns the time that a fresh process takes to say a sentence."""
  with tempfile.TemporaryDirectory() as directory:
    code = 'import sys; from lpips_jax.speaking import say; say(sys.argv[1], sys.argv[2]).write(sys.argv[3])'
    sentence = 'The computer makes the lips move with the voice.'
    command = [sys.executable, '-c', code, sentence, voice, f'{directory}/speech.wav']
    times = []
    for _ in range(STARTS):
      began = time.perf_counter()
      subprocess.run(command, check=True, cwd=commands.ROOT)
      times.append(time.perf_counter() - began)
  return min(times)


def spelling(dictionary: Path) -> dict[str, float]:
  """Returns the number of `words`, the share that is `right`, and that of wrong `phones`."""
  words, right, errors, phones = 0, 0, 0, 0
  for word, variants in itertools.groupby(_entries(dictionary), key=lambda entry: entry[0]):
    got = [phone.rstrip('01') for phone in pronounce(word)]
    wrong, length = min((distance(said, got), len(said)) for _, said in variants)
    words, right, errors, phones = words + 1, right + (wrong == 0), errors + wrong, phones + length
  return {'words': words, 'right': right / words, 'phones': errors / phones}


def _entries(dictionary: Path) -> Iterator[tuple[str, list[str]]]:
  for line in dictionary.read_text('latin-1').splitlines():
    found = re.match(r"([a-z']+)(?:\(\d\))? ([A-Z0-2 ]+)", line)
    if found:
      yield found[1], [phone.rstrip('012') for phone in found[2].split()]


if __name__ == '__main__':
  define_flags()
  cli.run(main)
