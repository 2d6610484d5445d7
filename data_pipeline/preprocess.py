"""Prepares raw videos for training: finds, follows and crops faces, at 25 frames a second and 16 kHz.

  python -m data_pipeline.preprocess --source=DIR --output=DIR --layout=lrs2

Layouts of the source, as the corpora are distributed:
  lrs2     DIR/mvlrs_v1/{main,pretrain}/<speaker>/<number>.mp4, and DIR/{train,val,test,pretrain}.txt
  lrs3     DIR/{pretrain,trainval,test}/<speaker>/<clip>.mp4
  lrw      DIR/lipread_mp4/<WORD>/{train,val,test}/<WORD>_<n>.mp4
  folder   any videos; a folder in DIR is a speaker, and every person in a video becomes a track
  wav2lip  DIR/<speaker>/<clip>/{0.jpg, 1.jpg, …, audio.wav}, as Wav2Lip's preprocessing leaves it

Both may be URLs, `gs://…` or `s3://…`. `data_pipeline.build` reads the output. A run that was killed continues where it
was; OUTPUT/rejected.csv lists what cannot be used, with the reasons, and OUTPUT/report.html shows the records.
"""

import contextlib
import csv
import os
from collections.abc import Iterable, Iterator
from functools import partial
from io import StringIO

from absl import flags

from data_pipeline.preparation import layouts, store, sync_filter
from data_pipeline.preparation.cluster import cut_on_cluster
from data_pipeline.preparation.cutting import CutSettings
from data_pipeline.preparation.local import Cutter, cut_all
from data_pipeline.preparation.report import write_report
from lpips_jax.core import cli
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.files import PathLike
from lpips_jax.core.jax_environment import share_accelerators
from lpips_jax.core.progress import progress_bar
from lpips_jax.faces.detect import choose_detector, make_detector
from lpips_jax.storage import files
from lpips_jax.storage.places import join, place
from lpips_jax.storage.staging import staged

REMOTE = 'source', 'output', 'detector_model', 'sync_expert', 'beam_option'  # flags that may be URLs
EVERYBODY_LAYOUTS = ('folder',)  # all people of a video become records; clips of other layouts have one speaker


def define_flags() -> None:
  flags.DEFINE_string('source', None, 'The directory with the raw videos, or its URL.')
  flags.DEFINE_string('output', None, 'The directory or URL for the prepared clips; a run there is continued.')
  flags.DEFINE_string('layout', None, f'How the source is laid out: {", ".join(layouts.LAYOUTS)}.')
  flags.DEFINE_integer('workers', os.cpu_count(), 'Number of processes; 0 works in this one.', lower_bound=0)
  flags.DEFINE_integer('crop_size', 96, 'Side of the face crops, in pixels.', lower_bound=16, upper_bound=1024)
  flags.DEFINE_integer('min_frames', 15, 'Frames, at 25 a second, that a record must have.', lower_bound=10)
  flags.DEFINE_string('detector', 'auto', 'yunet, cascade, or auto: the first of them that is available.')
  flags.DEFINE_string('detector_model', None, "YuNet's file; else LIPSYNC_YUNET, else a download.")
  flags.DEFINE_string('sync_expert', '', 'Checkpoint directory of a sync expert, which scores every record.')
  flags.DEFINE_integer(
    'max_offset', 5, 'Sound that is off by up to this many frames is realigned; beyond it is rejected.', lower_bound=0
  )
  flags.DEFINE_float(
    'min_confidence',
    0.25,
    "Records with less confidence of the expert are rejected; the demo's expert gives 0.5 to true ones.",
  )
  flags.DEFINE_string('beam_runner', None, 'Runs as an Apache Beam pipeline: DirectRunner, DataflowRunner, ….')
  flags.DEFINE_multi_string('beam_option', [], 'An option of Beam, --name=value; may be repeated.')


def main() -> None:
  cli.require_flags('source', 'output', 'layout')
  given = flags.FLAGS
  source, output = place(given.source), place(given.output)
  clips, refused = layouts.find_clips(given.layout, source)
  kind, model = choose_detector(given.detector, given.detector_model and staged(given.detector_model))
  make_detector(kind, model)  # now: a bad model file would spoil every clip
  settings = CutSettings(given.crop_size, given.layout in EVERYBODY_LAYOUTS, given.min_frames)
  limits = sync_filter.SyncFilterSettings(given.max_offset, given.min_confidence, given.min_frames)
  make_sync_filter = partial(sync_filter.make_sync_filter, given.sync_expert, limits)
  if given.beam_runner:
    share_accelerators()  # with workers on this machine
  filter_result = make_sync_filter()
  splits = {split: [clip.id for clip in clips if clip.split == split] for split in layouts.SPLITS}
  with store.working_in(output, _settings(kind)):
    store.write_splits(output, splits)
    summaries = store.read_summaries(output, [clip.id for clip in clips])
    todo = [clip for clip in clips if clip.id not in summaries or summaries[clip.id].again]
    if len(todo) < len(clips):
      print(f'{len(clips) - len(todo)} of {len(clips)} clips were prepared before')
    if given.beam_runner:
      cutter = Cutter(kind, model and model.read_bytes(), settings)
      cut_on_cluster(todo, cutter, make_sync_filter, output, given.beam_runner, given.beam_option)
    else:
      cutter = Cutter(kind, model, settings)
      with store.writing(output) as write, contextlib.closing(cut_all(todo, cutter, given.workers)) as results:
        for result in _with_progress(map(filter_result, results), len(todo)):
          write(result)
    summaries |= store.read_summaries(output, [clip.id for clip in todo])
    _write_summary(output, splits, summaries, refused)


def _settings(detector: str) -> dict[str, object]:
  """Returns the settings on which the prepared clips depend."""
  given = flags.FLAGS
  names = ['layout', 'crop_size', 'min_frames', 'sync_expert']
  if given.sync_expert:
    names += ['max_offset', 'min_confidence']
  return {'detector': detector} | {name: given[name].value for name in names}


def _with_progress(results: Iterable[store.ClipResult], total: int) -> Iterator[store.ClipResult]:
  """Yields the results and shows progress: as a bar on a terminal, otherwise as a line each minute."""
  rejected, seconds = 0, 0.0
  with progress_bar('clips', total, 'clip') as bar:
    for result in results:
      yield result
      rejected += not result.records
      seconds += result.seconds
      bar.set_postfix_str(f'{seconds / 3600:.3f} h of video, {rejected} rejected', refresh=False)
      bar.update()


def _write_summary(
  output: PathLike,
  splits: dict[str, list[str]],
  summaries: dict[str, store.ClipSummary],
  refused: list[tuple[str, str]],
) -> None:
  """Writes the report and rejected.csv, and prints a summary of one line."""
  clips = sorted(clip for split in splits.values() for clip in split)
  missing = [clip for clip in clips if clip not in summaries]
  if missing:
    cli.fail(f'{len(missing)} clips are missing in {output}, such as {missing[0]}: run the same command again')
  ordered = [summaries[clip] for clip in clips]
  rejected = sorted(refused + [pair for summary in ordered for pair in summary.rejected])
  write_report(output, splits, ordered, rejected)
  listing = StringIO()
  rows = csv.writer(listing, lineterminator='\n')
  rows.writerow(('clip', 'reason'))
  rows.writerows(rejected)
  finished = join(output, store.FINISHED)
  files.write(finished, listing.getvalue())
  records = [record for summary in ordered for record in summary.records]
  if not records:
    cli.fail(f'none of the {len(clips)} clips can be used: {finished} says why')
  hours = sum(record['frames'] for record in records) / FRAME_RATE / 3600
  counts = {split: sum(len(summaries[clip].records) for clip in splits[split]) for split in layouts.SPLITS}
  of_splits = ', '.join(f'{split} {count}' for split, count in counts.items() if count)
  print(
    f'{len(records)} records ({of_splits}), {hours:.3f} h, from {len(clips)} clips; '
    f'{len(rejected)} rejections in {finished}; look at {join(output, "report.html")}'
  )


if __name__ == '__main__':
  define_flags()
  cli.run(main, remote=REMOTE)
