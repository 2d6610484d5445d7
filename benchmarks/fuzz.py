"""Damaged files under infer.py: each must end with a video that plays, or with one line and status 2.

  python -m benchmarks.fuzz --files=300 --output=fuzz.json

Videos, sounds and pictures of many formats are damaged at their head, in the middle, at the tail, by changed bytes, by
zeros or by blocks in another order, or cut short, or given in each other's place. The detector is OpenCV's cascade and
the generator a tiny one with random weights. What went wrong is printed, and its files are kept in --directory.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from absl import flags

from benchmarks import random_weights
from benchmarks.commands import ROOT, TINY, waited
from data_pipeline.corpora.talking_faces.clips import draw_clip
from lpips_jax import cli, pretrained
from lpips_jax.files import write_whole
from lpips_jax.media.containers import decode, open_media
from lpips_jax.media.sound import write_speech
from lpips_jax.media.video import VideoInfo, count_frames
from lpips_jax.media.writing import write_video

SECONDS = 1
LONGEST = 60.0  # seconds that a file may take
EDGE = 2048  # bytes that count as head and as tail
FACES = 'face.mp4', 'face.mkv', 'face.webm', 'face.mov', 'hevc.mp4', 'still.png', 'still.jpg'
SOUNDS = 'speech.wav', 'speech.m4a', 'speech.mp3', 'speech.flac', 'speech.ogg', 'face.mp4', 'face.webm'


@dataclass(frozen=True)
class Case:
  """Two files, of which one is damaged, and how."""

  name: str
  face: Path
  audio: Path


def define_flags() -> None:
  flags.DEFINE_integer('files', 300, 'How many damaged files there are.', lower_bound=1)
  flags.DEFINE_integer('seed', 0, 'What is damaged, and how.')
  flags.DEFINE_string('output', None, 'Writes the figures there as JSON, too.')
  flags.DEFINE_string('directory', 'fuzz', 'Where files that did harm are kept.')


def main() -> None:
  given = flags.FLAGS
  kept = Path(given.directory)
  with tempfile.TemporaryDirectory() as temporary:
    directory = Path(temporary)
    sources = _make_sources(directory)
    checkpoint = _make_checkpoint(directory / 'checkpoint')
    rng = np.random.default_rng(given.seed)
    cases = [_damaged(directory / f'{k:03}', sources, rng) for k in range(given.files)]
    _run(Case('sound', directory / FACES[0], directory / SOUNDS[0]), directory / 'out', checkpoint)  # compiles
    outcomes = []
    with ThreadPoolExecutor(os.cpu_count()) as pool, cli.progress_bar('files', len(cases), 'file') as bar:
      work = (pool.submit(_run, case, case.face.parent / 'out', checkpoint) for case in cases)
      for case, job in zip(cases, list(work), strict=True):
        outcomes.append(job.result())
        bar.update()
        if outcomes[-1]['problem']:
          print(f'{case.name}: {outcomes[-1]["problem"]}', flush=True)
          kept.mkdir(parents=True, exist_ok=True)
          for path in (case.face, case.audio):
            (kept / f'{case.face.parent.name}-{path.name}').write_bytes(path.read_bytes())
  figures = {
    'files': len(cases),
    'dubbed': sum(outcome['status'] == 0 for outcome in outcomes),
    'refused': sum(outcome['status'] == 2 for outcome in outcomes),
    'problems': sum(bool(outcome['problem']) for outcome in outcomes),
    'kinds': collections.Counter(case.name.partition(' of ')[0] for case in cases),
    'longest_seconds': max(outcome['seconds'] for outcome in outcomes),
    'most_resident_mib': max(outcome['mib'] for outcome in outcomes),
  }
  print(json.dumps(figures, indent=2))
  if given.output:
    write_whole(Path(given.output), json.dumps(figures, indent=2) + '\n')
  if figures['problems']:
    cli.fail(f'{figures["problems"]} files did harm: they are in {kept}')


def _make_sources(directory: Path) -> Path:
  """Writes every file of `FACES` and `SOUNDS`."""
  clip = draw_clip(3, 'test', 0, 0, SECONDS)
  frames = list(clip.scene(160))
  write_speech(directory / 'speech.wav', clip.audio)
  info = VideoInfo(160, 160, Fraction(25))
  for name in FACES:
    path = directory / name
    if path.suffix in ('.png', '.jpg'):
      cv2.imwrite(str(path), frames[0][..., ::-1])
      continue
    with write_video(path, info, directory / 'speech.wav', codec='hevc' if name.startswith('hevc') else None) as write:
      for frame in frames:
        write(frame)
  for name, codec in {'m4a': 'aac', 'mp3': 'libmp3lame', 'flac': 'flac', 'ogg': 'libopus'}.items():
    _encode(directory / f'speech.{name}', codec, clip.audio)
  return directory


def _encode(path: Path, codec: str, samples: np.ndarray) -> None:
  with av.open(str(path), 'w') as container:
    rate = 48000 if codec == 'libopus' else 16000
    stream = container.add_stream(codec, rate=rate, layout='mono')
    frame = av.AudioFrame.from_ndarray(samples[None], format='s16', layout='mono')
    frame.sample_rate = 16000
    form = stream.codec_context.format.name if stream.codec_context.format else 's16'
    for piece in av.AudioResampler(format=form, layout='mono', rate=rate).resample(frame):
      container.mux(stream.encode(piece))
    container.mux(stream.encode(None))


def _make_checkpoint(path: Path) -> Path:
  values = {name: value for name, value in TINY['generator'].items() if name.startswith('model.')}
  small = {name.replace('.', '__'): value for name, value in values.items()}
  pretrained.save(path, random_weights.network('lrs2.py', **small))
  return path


def _damaged(directory: Path, sources: Path, rng: np.random.Generator) -> Case:
  directory.mkdir()
  (directory / 'out').mkdir()
  face, audio = sources / str(rng.choice(FACES)), sources / str(rng.choice(SOUNDS))
  kind = str(rng.choice(list(DAMAGES)))
  if kind == 'swapped':
    return Case(f'swapped of {audio.name} and {face.name}', *_copied(directory, audio, face))
  victim = face if rng.random() < 0.6 else audio
  face, audio = _copied(directory, face, audio)
  damaged = directory / victim.name if victim.name == face.name else audio
  content = np.frombuffer(damaged.read_bytes(), np.uint8).copy()
  damaged.write_bytes(DAMAGES[kind](content, rng).tobytes())
  return Case(f'{kind} of {victim.name}', face, audio)


def _copied(directory: Path, face: Path, audio: Path) -> tuple[Path, Path]:
  copies = directory / face.name, directory / f'audio-{audio.name}'
  for source, copy in zip((face, audio), copies, strict=True):
    copy.write_bytes(source.read_bytes())
  return copies


def _changed(first: int | None, last: int | None) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
  def damage(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    part = content[first:last]
    count = min(len(part), int(2 ** rng.uniform(0, 8)))
    places = rng.integers(0, len(part), count)
    part[places] = rng.integers(0, 256, count)
    return content

  return damage


def _zeroed(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  begin = rng.integers(0, len(content))
  content[begin : begin + int(2 ** rng.uniform(2, 12))] = 0
  return content


def _cut_short(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  return content[: rng.integers(1, len(content))]


def _in_another_order(content: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  blocks = np.array_split(content, 8)
  return np.concatenate([blocks[k] for k in rng.permutation(8)])


DAMAGES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
  'head': _changed(0, EDGE),
  'middle': _changed(None, None),
  'tail': _changed(-EDGE, None),
  'zeros': _zeroed,
  'cut short': _cut_short,
  'another order': _in_another_order,
  'swapped': lambda content, rng: content,
}


def _run(case: Case, output: Path, checkpoint: Path) -> dict[str, object]:
  """Dubs, and says what came of it; `problem` is empty where all is as it should be."""
  output.mkdir(exist_ok=True)
  video = output / 'dubbed.mp4'
  line = [sys.executable, str(ROOT / 'infer.py'), f'--face={case.face}', f'--audio={case.audio}', f'--output={video}']
  line += [f'--checkpoint={checkpoint}', '--detector=cascade']
  with tempfile.TemporaryFile('w+') as said:
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)
    status, seconds, mib = waited(process, LONGEST)
    said.seek(0)
    lines = said.read().splitlines()
  return {
    'status': status,
    'seconds': seconds,
    'mib': mib,
    'problem': _problem(status, lines, video, sorted(path.name for path in output.iterdir())),
  }


def _problem(status: int | None, said: Sequence[str], video: Path, files: Sequence[str]) -> str:
  if status is None:
    return f'still at work after {LONGEST:g} s'
  if status not in (0, 2):
    return f'status {status}: {said[-1] if said else ""}'
  if status == 2 and (len(said) != 1 or files):
    return f'{len(said)} lines, {len(files)} files left: {" | ".join(said[-3:])} {" ".join(files)}'
  if status == 0 and files != [video.name]:
    return f'files left: {" ".join(files)}'
  if status == 0 and not (count_frames(video) and _has_sound(video)):
    return 'the output does not play'
  return ''


def _has_sound(video: Path) -> bool:
  """As players do, without the packets that were damaged before they were copied."""
  with open_media(video) as container:
    return any(decode(container, container.streams.audio[0]))


if __name__ == '__main__':
  define_flags()
  cli.run(main)
