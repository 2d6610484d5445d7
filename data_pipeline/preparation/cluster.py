"""Preparation on many machines, as an Apache Beam pipeline; needs the extra `beam`."""

import contextlib
import pickle
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence

import cv2

from data_pipeline.preparation import store
from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult
from data_pipeline.preparation.sync_filter import SyncFilter
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.core.jax_environment import share_accelerators
from lpips_jax.core.progress import progress_bar

CLIPS_IN_PART = 10000  # of a pipeline
PROGRESS_SECONDS = 60.0  # between two looks at the output


def cut_on_cluster(
  clips: Sequence[RawClip],
  cutter: Callable[[RawClip], ClipResult],
  make_sync_filter: Callable[[], SyncFilter],
  output: PathLike,
  beam_runner: str,
  beam_options: Sequence[str] = (),
) -> None:
  """Cuts, filters and writes each clip on some worker; all workers must see the sources and the output.

  Beam may give a clip to two workers, or to another once one has failed: both write the same bytes.

  Args:
    clips: the raw clips.
    cutter: cuts a raw clip.
    make_sync_filter: makes the filter of the results; called once on each worker.
    output: the directory or URL for prepared clips.
    beam_runner: 'DirectRunner', 'DataflowRunner', 'FlinkRunner', 'SparkRunner', ….
    beam_options: options of Beam, each in Beam's own form, `--name=value`.

  Raises:
    UserError: Beam is not installed, has no such runner, or gave up on a clip.
  """
  try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
  except ImportError as error:
    raise UserError("beam_runner needs Apache Beam: pip install -e '.[beam]'", 'beam_runner') from error

  class Prepare(beam.DoFn):
    def setup(self) -> None:
      share_accelerators()
      cv2.setNumThreads(1)  # runners start a worker for each core
      self.sync_filter = make_sync_filter()

    def process(self, raw: RawClip) -> Iterator[str]:
      store.write_clip_result(output, self.sync_filter(cutter(raw)))
      yield raw.id

  try:
    pipeline = beam.Pipeline(runner=beam_runner, options=PipelineOptions(list(beam_options)))
  except ValueError as error:
    raise UserError(f'beam_runner={beam_runner}: {str(error).splitlines()[0]}', 'beam_runner') from error
  _ = pipeline | beam.Create(_packed(clips)) | beam.FlatMap(_unpacked) | beam.Reshuffle() | beam.ParDo(Prepare())
  try:
    with _progress_shown(output, len(clips)):
      pipeline.run().wait_until_finish()
  except Exception as error:  # a worker's own, or one with its traceback
    _, found, reason = f'{type(error).__name__}: {error}'.rpartition(f'{UserError.__name__}: ')
    if not found:
      raise
    line = reason.partition('\n')[0].partition(' [while running')[0]
    raise UserError(f'{beam_runner} gave up: {line}', 'beam_runner') from error


def _packed(clips: Sequence[RawClip]) -> list[bytes]:
  """Returns the clips in few bytes: a pipeline holds them all, and services take pipelines of a few megabytes only."""
  parts = [clips[k : k + CLIPS_IN_PART] for k in range(0, len(clips), CLIPS_IN_PART)]
  return [zlib.compress(pickle.dumps(list(part))) for part in parts]


def _unpacked(part: bytes) -> list[RawClip]:
  return pickle.loads(zlib.decompress(part))


@contextlib.contextmanager
def _progress_shown(output: PathLike, total: int) -> Iterator[None]:
  """Shows on the launching machine how many clips have been prepared since the body began, whatever the runner."""
  ended, before = threading.Event(), store.count_clips(output)

  def watch() -> None:
    with progress_bar('clips', total, 'clip') as bar:
      while not ended.wait(PROGRESS_SECONDS):
        with contextlib.suppress(UserError, OSError):  # the next look may succeed
          bar.update(store.count_clips(output) - before - bar.n)

  thread = threading.Thread(target=watch, name='progress', daemon=True)
  thread.start()
  try:
    yield
  finally:
    ended.set()
