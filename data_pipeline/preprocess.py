"""Prepares raw videos for training: faces found, followed and cut, at 25 frames a second and 16 kHz.

  python -m data_pipeline.preprocess --source=DIR --output=DIR --layout=lrs2

Layouts, as their owners give them out:
  lrs2     DIR/mvlrs_v1/{main,pretrain}/<speaker>/<number>.mp4, and DIR/{train,val,test,pretrain}.txt
  lrs3     DIR/{pretrain,trainval,test}/<speaker>/<clip>.mp4
  lrw      DIR/lipread_mp4/<WORD>/{train,val,test}/<WORD>_<n>.mp4
  folder   any videos; a folder in DIR is a speaker, and everybody in a video becomes a track
  wav2lip  DIR/<speaker>/<clip>/{0.jpg, 1.jpg, …, audio.wav}, as Wav2Lip's preprocessing leaves it

The output is what `data_pipeline.build` reads. A run that was killed goes on where it was; what cannot be used is
listed with reasons in OUTPUT/rejected.csv, and OUTPUT/report.html shows what there is.
"""

import contextlib
import csv
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path

from absl import flags

from data_pipeline.preparation import layouts, store, sync_filter
from data_pipeline.preparation.cluster import cut_on_cluster
from data_pipeline.preparation.cutting import CutSettings
from data_pipeline.preparation.local import Cutter, cut_all
from data_pipeline.preparation.report import write_report
from lpips_jax.core import cli
from lpips_jax.core.constants import FRAME_RATE
from lpips_jax.core.files import write_whole
from lpips_jax.core.jax_environment import share_accelerators
from lpips_jax.core.progress import progress_bar
from lpips_jax.faces.detect import choose_detector, make_detector

EVERYBODY = ('folder',)  # the layouts in which all people of a video are wanted; the others have one speaker a clip


def define_flags() -> None:
  flags.DEFINE_string('source', None, 'The directory with the raw videos.')
  flags.DEFINE_string('output', None, 'The directory for the prepared clips; a run there is continued.')
  flags.DEFINE_string('layout', None, f'How the source is laid out: {", ".join(layouts.LAYOUTS)}.')
  flags.DEFINE_integer('workers', os.cpu_count(), 'Processes; 0 works in one.', lower_bound=0)
  flags.DEFINE_integer('crop_size', 96, 'Side of the face crops, in pixels.', lower_bound=16, upper_bound=1024)
  flags.DEFINE_integer('min_frames', 15, 'Frames, at 25 a second, that a record must have.', lower_bound=10)
  flags.DEFINE_string('detector', 'auto', 'yunet, cascade, or auto: the first of them that can be had.')
  flags.DEFINE_string('detector_model', None, "YuNet's file; else LIPSYNC_YUNET, else a download.")
  flags.DEFINE_string('sync_expert', '', 'A sync expert: its checkpoint directory. It judges every record.')
  flags.DEFINE_integer(
    'max_offset', 5, 'Frames by which it may find sound shifted, which is put right; beyond, rejected.', lower_bound=0
  )
  flags.DEFINE_float(
    'min_confidence',
    0.25,
    "Records with less of its confidence are rejected; the demo's expert gives 0.5 to true ones.",
  )
  flags.DEFINE_string('beam_runner', None, 'Works as an Apache Beam pipeline: DirectRunner, DataflowRunner, ….')
  flags.DEFINE_multi_string('beam_option', [], "An option of Beam's, --name=value; may be repeated.")


def main() -> None:
  cli.require_flags('source', 'output', 'layout')
  given = flags.FLAGS
  source, output = Path(given.source).expanduser(), Path(given.output).expanduser()
  clips, refused = layouts.find_clips(given.layout, source)
  kind, model = choose_detector(given.detector, given.detector_model)
  make_detector(kind, model)  # now, lest a file that is none spoil every clip
  settings = CutSettings(given.crop_size, given.layout in EVERYBODY, given.min_frames)
  limits = sync_filter.SyncFilterSettings(given.max_offset, given.min_confidence, given.min_frames)
  make_sync_filter = partial(sync_filter.make_sync_filter, given.sync_expert, limits)
  if given.beam_runner:
    share_accelerators()  # with the workers, some of which may be on this machine
  judge = make_sync_filter()
  with store.working_in(output, _settings(kind)):
    store.write_splits(output, {split: [c.id for c in clips if c.split == split] for split in layouts.SPLITS})
    todo = [clip for clip in clips if not store.is_done(output, clip.id)]
    if len(todo) < len(clips):
      print(f'{len(clips) - len(todo)} of {len(clips)} clips were prepared before')
    cutter = Cutter(kind, model, settings)
    if given.beam_runner:
      cut_on_cluster(todo, cutter, make_sync_filter, output, given.beam_runner, given.beam_option)
    else:
      with contextlib.closing(cut_all(todo, cutter, given.workers)) as outcomes:
        for outcome in _with_progress(map(judge, outcomes), len(todo)):
          store.write_clip_result(output, outcome)
    _summarise(output, clips, refused)


def _settings(detector: str) -> dict[str, object]:
  """What the prepared clips depend on besides the raw ones."""
  given = flags.FLAGS
  names = ['layout', 'crop_size', 'min_frames', 'sync_expert']
  if given.sync_expert:
    names += ['max_offset', 'min_confidence']
  return {'detector': detector} | {name: given[name].value for name in names}


def _with_progress(outcomes: Iterator[store.ClipResult], total: int) -> Iterator[store.ClipResult]:
  """Shows clips done, time left, seconds of video and rejects: as a bar on a terminal, else as a line a minute."""
  rejected, seconds = 0, 0.0
  with progress_bar('clips', total, 'clip') as bar:
    for outcome in outcomes:
      yield outcome
      rejected += not outcome.records
      seconds += outcome.seconds
      bar.set_postfix_str(f'{seconds / 3600:.3f} h of video, {rejected} rejected', refresh=False)
      bar.update()


def _summarise(output: Path, clips: list[layouts.RawClip], refused: list[tuple[str, str]]) -> None:
  """Writes rejected.csv and the report, and says in a line what there is."""
  summaries = [store.read_summary(output, clip.id) for clip in clips]
  rejected = sorted(refused + [pair for summary in summaries for pair in summary.rejected])
  listing = StringIO()
  rows = csv.writer(listing, lineterminator='\n')
  rows.writerow(('clip', 'reason'))
  rows.writerows(rejected)
  write_whole(output / store.FINISHED, listing.getvalue())
  write_report(output, summaries, rejected)
  records = [record for summary in summaries for record in summary.records]
  if not records:
    cli.fail(f'none of the {len(clips)} clips can be used: {output / store.FINISHED} says why')
  hours = sum(record['frames'] for record in records) / FRAME_RATE / 3600
  of_split = Counter()
  for clip, summary in zip(clips, summaries, strict=True):
    of_split[clip.split] += len(summary.records)
  splits = ', '.join(f'{split} {of_split[split]}' for split in layouts.SPLITS if of_split[split])
  print(
    f'{len(records)} records ({splits}), {hours:.3f} h, from {len(clips)} clips; '
    f'{len(rejected)} rejections in {output / store.FINISHED}; look at {output / "report.html"}'
  )


if __name__ == '__main__':
  define_flags()
  cli.run(main)
