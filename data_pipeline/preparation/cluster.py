"""The same work on many machines, as an Apache Beam pipeline; needs the extra `beam`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_pipeline.preparation.layouts import RawClip
from data_pipeline.preparation.store import ClipResult, write_clip_result
from lpips_jax.core.errors import UserError
from lpips_jax.core.jax_environment import share_accelerators

Judge = Callable[[ClipResult], ClipResult]


def cut_on_cluster(
  clips: Sequence[RawClip],
  cutter: Callable[[RawClip], ClipResult],
  make_sync_filter: Callable[[], Judge],
  output: Path,
  runner: str,
  options: Sequence[str] = (),
) -> None:
  """Cuts, judges and writes each clip on some worker; sources and output lie where all workers see them.

  Args:
    clips: what to cut.
    cutter: how.
    make_judge: makes what is applied to each outcome before it is written; called once on each worker.
    output: the directory for prepared clips.
    runner: 'DirectRunner', 'DataflowRunner', 'FlinkRunner', 'SparkRunner', ….
    options: of Beam, each as '--name=value'.

  Raises:
    UserError: Beam is not installed, or has no such runner.
  """
  try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
  except ImportError as error:
    raise UserError("--beam_runner needs Apache Beam: pip install -e '.[beam]'") from error

  class Prepare(beam.DoFn):
    def setup(self) -> None:
      share_accelerators()
      self.judge = make_sync_filter()

    def process(self, raw: RawClip) -> Any:
      write_clip_result(output, self.judge(cutter(raw)))
      yield raw.id

  try:
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(list(options)))
  except ValueError as error:
    raise UserError(f'--beam_runner={runner}: {str(error).splitlines()[0]}') from error
  with pipeline:
    _ = pipeline | beam.Create(list(clips)) | beam.Reshuffle() | beam.ParDo(Prepare())
