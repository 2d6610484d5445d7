"""Small films with marks, and a certificate to sign them with."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from pictures import numbered, write_wav

from lpips_jax.media.video_reader import VideoInfo
from lpips_jax.media.video_writer import FileMarks, write_video

WriteFilm = Callable[..., Path]


@pytest.fixture
def sound(tmp_path) -> Path:
  samples = 0.3 * np.sin(np.arange(4800) / 7).astype(np.float32)
  return write_wav(tmp_path / 'speech.wav', samples, 16000)


@pytest.fixture
def film(tmp_path, sound) -> WriteFilm:
  """Writes a film of eight frames with sound."""

  def write_film(name: str, marks: FileMarks | None = None) -> Path:
    with write_video(tmp_path / name, VideoInfo(64, 48, Fraction(25)), sound, marks=marks) as write:
      for k in range(8):
        write(numbered(k))
    return tmp_path / name

  return write_film


@pytest.fixture(scope='session')
def packets() -> Callable[[Path], list[tuple]]:
  """Reads all that a player gets: the packets of picture and sound, and how to decode them."""

  def read_packets(path: Path) -> list[tuple]:
    with av.open(str(path)) as container:
      streams = [(stream.codec_context.name, stream.codec_context.extradata) for stream in container.streams]
      timed = [(each.stream.index, each.pts, each.dts, each.duration, bytes(each)) for each in container.demux()]
    return streams + timed

  return read_packets


@pytest.fixture(scope='session')
def pems(tmp_path_factory) -> tuple[Path, Path]:
  """A certificate and its key."""
  pytest.importorskip('c2pa')
  pytest.importorskip('cryptography')
  from lpips_jax.provenance.certificate import make_certificate

  return make_certificate(tmp_path_factory.mktemp('certificate'))
