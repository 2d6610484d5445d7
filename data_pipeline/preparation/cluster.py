"""Preparation on many machines, as an Apache Beam pipeline; needs the extra `beam`."""

from collections.abc import Callable, Iterator, Sequence

from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult, write_clip_result
from data_pipeline.preparation.sync_filter import SyncFilter
from lpips_jax.core.errors import UserError
from lpips_jax.core.files import PathLike
from lpips_jax.core.jax_environment import share_accelerators


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
      self.sync_filter = make_sync_filter()

    def process(self, raw: RawClip) -> Iterator[str]:
      write_clip_result(output, self.sync_filter(cutter(raw)))
      yield raw.id

  try:
    pipeline = beam.Pipeline(runner=beam_runner, options=PipelineOptions(list(beam_options)))
  except ValueError as error:
    raise UserError(f'beam_runner={beam_runner}: {str(error).splitlines()[0]}', 'beam_runner') from error
  _ = pipeline | beam.Create(list(clips)) | beam.Reshuffle() | beam.ParDo(Prepare())
  try:
    pipeline.run().wait_until_finish()
  except RuntimeError as error:  # with the traceback of a worker
    _, found, reason = str(error).rpartition(f'{UserError.__name__}: ')
    if not found:
      raise
    raise UserError(f'{beam_runner} gave up: {reason.splitlines()[0]}', 'beam_runner') from error
