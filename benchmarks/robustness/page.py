"""The page under people who leave, stop, crowd and trick.

  python -m benchmarks.robustness.page --output=page.json

Each part has a server of its own, with a tiny generator:

- leave: dubs that are left or stopped at random moments; then files, threads, processes, memory, and the next dub;
- crowd: three programs at once: their places in the queue, and whether they get their own dubs and nobody else's;
- trick: uploads that are no media, damaged, too long or too large, and paths to other files: one line, nothing kept.
"""

import json
import random
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from benchmarks import commands, random_weights
from benchmarks.robustness.damage import DAMAGES
from benchmarks.robustness.page_server import PageServer, Refused, last, named
from benchmarks.tiny import TINY_OVERRIDES
from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax import pretrained
from lpips_jax.core import cli
from lpips_jax.core.progress import progress_bar
from lpips_jax.media.speech import write_speech
from lpips_jax.media.video_reader import probe
from lpips_jax.media.video_writer import write_clip
from lpips_jax.web.limits import BUG
from lpips_jax.web.storage import MAX_IDLE, SWEEP_SECONDS

SIDE = 192  # pixels of a film
SECONDS = 2.0  # of a film, and of short speech
LONG_SECONDS = 20.0  # of the speech of a dub that is left
LATEST = 0.9  # share of a dub after which none is left: it would be done before the server knows
SETTLED = 5.0  # seconds after which whatever was left must be gone
SWEPT = SWEEP_SECONDS + MAX_IDLE + 5  # seconds after which uploads that did not arrive whole are gone
OURS = {'film.mp4', 'speech.wav', 'dubbed.mp4', 'boxes.json'}  # files that remain for their hour
FLAGS = '--max_minutes=1', '--max_megabytes=4', '--max_pixels=1000000', '--max_queue=4'


def define_flags() -> None:
  flags.DEFINE_list('parts', list(PARTS), 'Parts to run.')
  flags.DEFINE_integer('times', 50, 'Number of dubs that are left.', lower_bound=20)
  flags.DEFINE_integer('files', 100, 'Number of damaged files.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'Seed of the moments and of the damage.')
  flags.DEFINE_string('output', None, 'JSON file for the figures.')
  commands.register_choices('parts', list(PARTS))


def main() -> None:
  commands.require_directory_of(flags.FLAGS.output)
  figures = {}
  with tempfile.TemporaryDirectory() as temporary:
    sources = _make_sources(Path(temporary) / 'sources')
    for part in flags.FLAGS.parts:
      directory = Path(temporary) / part
      directory.mkdir()
      with PageServer(directory, sources / 'checkpoint', *FLAGS) as server:
        figures[part] = PARTS[part](server, sources)
        figures[part]['seconds until the page was there'] = round(server.seconds_to_start, 1)
        log = server.log.read_text()
        figures[part]['tracebacks in the log'] = log.count('Traceback')
      figures[part]['left after the end'] = server.root.exists()
      print(json.dumps({part: figures[part]}, indent=2), flush=True)
  commands.write_figures(flags.FLAGS.output, figures)


# ---- parts


def leave(server: PageServer, sources: Path) -> dict[str, Any]:
  """Leaves dubs at random moments; see the module."""
  rng = random.Random(flags.FLAGS.seed)
  face = server.upload((sources / 'film.mp4').read_bytes(), 'film.mp4')
  speech = server.upload((sources / 'long.wav').read_bytes(), 'long.wav')

  def unfinished() -> list[Path]:
    return [folder for folder in (server.root / 'results').iterdir() if not (folder / 'dubbed.mp4').exists()]

  for _ in range(2):  # the first compiles
    last(server.call('dub', face=face, audio=speech, consent=True))
  state: list[dict[str, int]] = []
  waited = []
  with progress_bar('leaving', flags.FLAGS.times, 'dub') as bar:
    for _ in range(flags.FLAGS.times):
      moment = rng.uniform(0, LATEST)
      outputs = server.call('dub', face=face, audio=speech, consent=True)
      for *_, status in outputs:
        if _share(status) >= moment:
          break
      outputs.close()  # type: ignore[attr-defined]
      waited.append(_seconds_until(lambda: not unfinished()))
      state.append(_state(server))
      bar.update()
  time.sleep(SETTLED)
  left = [str(file) for folder in unfinished() for file in (folder, *folder.iterdir())]
  finished = len(list((server.root / 'results').iterdir())) - 2
  made = last(server.call('dub', face=face, audio=speech, consent=True))
  memory = [row['megabytes'] for row in state]
  warm = len(memory) // 5
  tenth = max(1, len(memory) // 10)
  return {
    'times': len(state),
    'longest seconds until all was gone': round(max(waited), 2),
    'of these finished before they were left': finished,
    'files of unfinished dubs that are left': left,
    'threads after warm-up, at the end': [state[warm]['threads'], state[-1]['threads']],
    'open files after warm-up, at the end': [state[warm]['files'], state[-1]['files']],
    'child processes at the end': state[-1]['children'],
    'megabytes after warm-up, at the end': [_mean(memory[warm : warm + tenth]), _mean(memory[-tenth:])],
    'growth of memory': round(_mean(memory[-tenth:]) / _mean(memory[warm : warm + tenth]) - 1, 4),
    'the next dub is done': made[-1] == 'done' and probe(made[0]['path']).frames == round(25 * LONG_SECONDS),
    'megabytes': memory,
  }


def crowd(server: PageServer, sources: Path) -> dict[str, Any]:
  """Three programs ask at once, each for a dub of another size; a fourth and fifth find a full queue."""
  speech = (sources / 'speech.wav').read_bytes()
  told: list[list[str]] = [[] for _ in range(3)]
  made: list[Any] = [None] * 3

  def ask(k: int) -> None:
    face = server.upload((sources / f'film{k}.mp4').read_bytes(), f'film{k}.mp4')
    for outputs in server.call('dub', face=face, audio=server.upload(speech, f'speech{k}.wav'), consent=True):
      told[k].append(outputs[-1])
      made[k] = outputs[0]

  threads = [threading.Thread(target=ask, args=(k,)) for k in range(3)]
  for thread in threads:
    thread.start()
    time.sleep(0.3)
  for thread in threads:
    thread.join()
  places = [[int(line.split('number ')[1].split()[0]) for line in lines if 'number' in line] for lines in told]
  names = [str(path) for path in server.kept('results')]
  return {
    'places that each saw': [sorted(set(seen), reverse=True) for seen in places],
    'places only fall': all(seen == sorted(seen, reverse=True) for seen in places),
    'each has their own dub': [probe(file['path']).width for file in made] == [SIDE + 16 * k for k in range(3)],
    'all names differ': len({file['path'] for file in made}) == 3,
    'folders tell nobody': {server.fetch(str(path)) for path in (server.root / 'results', server.root / 'uploads')}
    == {403},
    'guessed names': server.fetch(str(server.root / 'results' / ('x' * 24) / 'dubbed.mp4')),
    'characters of a name that is not guessed': min(len(Path(name).parent.name) for name in names),
  }


def trick(server: PageServer, sources: Path) -> dict[str, Any]:
  """Uploads what cannot be used, and names what is not theirs; counts the answers of one line, and what is kept."""
  film, speech = (sources / 'film.mp4').read_bytes(), (sources / 'speech.wav').read_bytes()
  answers: dict[str, str] = {}
  kept: dict[str, list[str]] = {}

  def ask(title: str, content: bytes | None, name: str = 'me.mp4', path: str = '', as_speech: bool = False) -> None:
    try:
      bad = named(path) if content is None else server.upload(content, name)
      face, audio = (server.upload(film, 'film.mp4'), bad) if as_speech else (bad, server.upload(speech, 'speech.wav'))
      answers[title] = last(server.call('dub', face=face, audio=audio, consent=True))[-1]
    except Refused as refusal:
      answers[title] = str(refusal)
    whole = [file for file in server.kept('uploads') if file.parent != server.root / 'uploads']
    kept[title] = sorted({file.name for file in whole} - OURS)

  for title, content, as_speech in _unusable(sources):
    ask(title, content, as_speech=as_speech)
  for name in NAMES:
    ask(f'name {name[:40]!r}', b'no film', name)
  outside = {str(path) for path in server.root.parent.rglob('*') if server.root not in (path, *path.parents)}
  for path in _others(server):
    ask(f'path {path}', None, path=path)
  fetched = {path: server.fetch(path) for path in _others(server)}
  rng = np.random.default_rng(flags.FLAGS.seed)
  damaged: dict[str, Any] = {'taken': 0, 'refused': 0, 'others': {}}
  for k in range(flags.FLAGS.files):
    damage = list(DAMAGES)[k % len(DAMAGES)]
    content = DAMAGES[damage](np.frombuffer(film if k % 2 else speech, np.uint8).copy(), rng).tobytes()
    title = f'{damage} {k}'
    ask(title, content, f'{k}.mp4', as_speech=not k % 2)
    answer = answers.pop(title)
    if answer == 'done' or _is_a_line(answer):
      damaged['taken' if answer == 'done' else 'refused'] += 1
    else:
      damaged['others'][title] = answer
  time.sleep(SWEPT)
  return {
    'refused with one line': sum(_is_a_line(answer) for answer in answers.values()),
    'of': len(answers),
    'others': {title: answer for title, answer in answers.items() if not _is_a_line(answer)},
    'kept': {title: files for title, files in kept.items() if files and title in answers},
    'remains of uploads': [str(path) for path in (server.root / 'uploads').iterdir() if path.is_file()],
    'files outside of the folder': sorted(outside),
    'files of others that were served': {path: status for path, status in fetched.items() if status == 200},
    'damaged files': damaged,
    'answers': answers,
  }


PARTS: dict[str, Callable[[PageServer, Path], dict[str, Any]]] = {'leave': leave, 'crowd': crowd, 'trick': trick}
NAMES = (
  '../../evil.mp4',
  '/etc/cron.d/evil',
  '..\\..\\evil.mp4',
  'a/../../../b.mp4',
  '%2e%2e%2fevil.mp4',
  '.lock',
  '..',
  '',
  'x' * 300 + '.mp4',
  '🙂 <script>.mp4',
  '--output=evil.mp4',
  'http://evil/me.mp4',
  'file:/etc/passwd',
)


def _unusable(sources: Path) -> list[tuple[str, bytes, bool]]:
  """Contents that no dub can use, with a title, and whether they are given as speech."""
  film = (sources / 'film.mp4').read_bytes()
  playlist = b'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'
  return [
    ('text', b'no film at all\n' * 40, False),
    ('nothing', b'', False),
    ('cut short', film[:300], False),
    ('a playlist', playlist, False),
    ('concat', b'ffconcat version 1.0\nfile /etc/passwd\n', False),
    ('a page', b'<html><script>alert(1)</script></html>', False),
    ('speech as a face', (sources / 'speech.wav').read_bytes(), False),
    ('text as speech', b'no sound at all\n' * 40, True),
    ('a mute film as speech', (sources / 'mute.mp4').read_bytes(), True),
    ('too long', (sources / 'too-long.wav').read_bytes(), True),
    ('too many pixels', (sources / 'too-large.mp4').read_bytes(), False),
    ('too many bytes', bytes(5_000_000), False),
  ]


def _others(server: PageServer) -> list[str]:
  """Paths of files that are no upload."""
  up = f'{server.root}/uploads/..'
  return ['/etc/passwd', '/proc/self/environ', f'{up}/.lock', f'{server.root}/.lock', 'https://example.org/me.mp4']


def _is_a_line(answer: str) -> bool:
  return bool(answer.strip()) and answer not in ('done', 'None', BUG) and '\n' not in answer


def _share(status: str) -> float:
  """Returns how much of a dub is done, by its status: looking for faces counts for a third."""
  found = re.search(r'(\d+) of (\d+) frames', status)
  done = int(found[1]) / int(found[2]) if found else 0.0
  return 1 / 3 + done * 2 / 3 if status.startswith('Dubbing') else done / 3


def _state(server: PageServer) -> dict[str, int]:
  process = server.process
  return {
    'threads': process.num_threads(),
    'files': process.num_fds(),
    'children': len(process.children(recursive=True)),
    'megabytes': round(process.memory_info().rss / 1e6),
  }


def _seconds_until(happens: Callable[[], bool]) -> float:
  begun = time.monotonic()
  while not happens():
    if time.monotonic() - begun > 60:
      cli.fail('a dub that was left goes on')
    time.sleep(0.02)
  return time.monotonic() - begun


def _mean(numbers: list[int]) -> float:
  return round(float(np.mean(numbers)), 1)


def _make_sources(directory: Path) -> Path:
  directory.mkdir()
  clip = draw_clip(3, 'test', 0, 0, SECONDS)
  for k in range(3):
    side = SIDE + 16 * k
    write_clip(directory / f'film{k}.mp4', clip.scene(side), (side, side), clip.audio)
  (directory / 'film.mp4').write_bytes((directory / 'film0.mp4').read_bytes())
  frames = list(clip.scene(SIDE))[:5]
  write_clip(directory / 'mute.mp4', frames, (SIDE, SIDE), None)
  write_clip(directory / 'too-large.mp4', [np.zeros((1002, 1000, 3), np.uint8)], (1002, 1000), None)
  write_speech(directory / 'speech.wav', clip.audio)
  write_speech(directory / 'long.wav', np.resize(clip.audio, round(16000 * LONG_SECONDS)))
  write_speech(directory / 'too-long.wav', np.resize(clip.audio, 16000 * 61))
  overrides = {name: value for name, value in TINY_OVERRIDES['generator'].items() if name.startswith('model.')}
  pretrained.save(directory / 'checkpoint', random_weights.network('lrs2.py', overrides))
  return directory


if __name__ == '__main__':
  define_flags()
  cli.run(main)
