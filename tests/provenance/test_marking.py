"""Marks of films: read back by exiftool and FFmpeg, not a packet changed, and nothing of the history lost."""

import json
import logging
import shutil
import subprocess
from pathlib import Path

import av
import pytest

from lpips_jax.media.video_reader import read_frames
from lpips_jax.provenance import isobmff, reading
from lpips_jax.provenance.marking import marks
from lpips_jax.provenance.statement import IPTC, Statement

COMPOSITE, TRAINED = f'{IPTC}compositeWithTrainedAlgorithmicMedia', f'{IPTC}trainedAlgorithmicMedia'
STATEMENT = Statement('dubbed', model='demo 12ab', voice='a <voice> & "more"')
NAMES = 'v.mp4', 'v.m4v', 'v.mov', 'v.mkv', 'v.webm'


def exiftool(path: Path) -> dict[str, str]:
  if shutil.which('exiftool') is None:
    pytest.skip('exiftool is not installed')
  printed = subprocess.run(['exiftool', '-json', path], capture_output=True, check=True, text=True).stdout
  return json.loads(printed)[0]


@pytest.mark.parametrize('name', NAMES)
def test_marks_are_read_back(film, name):
  path = film(name, marks(STATEMENT))
  (own,) = reading.read(path)
  assert (own.source_type, own.model, own.voice) == (COMPOSITE, 'demo 12ab', 'a <voice> & "more"')
  assert len(list(read_frames(path))) == 8


@pytest.mark.parametrize('name', NAMES)
def test_exiftool_reads_them(film, name):
  found = exiftool(film(name, marks(STATEMENT)))
  assert found['DigitalSourceType'] == COMPOSITE and found['Comment'] == STATEMENT.in_words()
  if name in ('v.mkv', 'v.webm'):
    assert 'lipsync:Model="demo 12ab"' in found['Xmp']
  else:
    assert found['CreatorTool'].startswith('lpips-jax') and found['Model'] == 'demo 12ab'
    assert found['AISystemUsed'] == 'lpips-jax' and found['Description'] == STATEMENT.in_words()


@pytest.mark.parametrize('name', NAMES)
def test_ffmpeg_shows_the_comment(film, name):
  with av.open(str(film(name, marks(STATEMENT)))) as container:
    tags = {tag.lower(): text for tag, text in container.metadata.items()}
  assert tags['comment'] == STATEMENT.in_words()


@pytest.mark.parametrize('name', NAMES)
def test_picture_and_sound_do_not_change(film, packets, name):
  plain = packets(film(name))
  assert packets(film(name, marks(STATEMENT))) == plain and len(plain) > 10


@pytest.mark.parametrize('name', ['v.mp4', 'v.mov'])
def test_players_can_begin_before_they_have_the_whole(film, name):
  kinds = [box.kind for box in isobmff.top_boxes(film(name, marks(STATEMENT)))]
  assert kinds.index(b'moov') < kinds.index(b'mdat')


@pytest.mark.parametrize('name', ['v.mp4', 'v.mov'])
def test_the_same_film_has_the_same_bytes(film, name):
  first = film(name, marks(STATEMENT)).read_bytes()
  assert film(name, marks(STATEMENT)).read_bytes() == first


@pytest.mark.parametrize('name', NAMES)
def test_a_dub_of_a_dub_keeps_both_statements(film, name):
  first = film(f'first_{name}', marks(STATEMENT))
  second = film(f'second_{name}', marks(Statement('dubbed', model='other'), first, first))
  third = film(name, marks(Statement('dubbed', model='third'), second, first))
  found = reading.read(third)
  assert [mark.part for mark in found] == ['', 'face', 'face/face', 'audio']
  assert [mark.model for mark in found] == ['third', 'other', 'demo 12ab', 'demo 12ab']


def test_a_dub_of_an_animated_still_is_all_made_by_algorithms(film, sound):
  still = film('still.mp4', marks(Statement('animated')))
  dubbed = film('dubbed.mp4', marks(Statement('dubbed'), still, sound))
  again = film('again.mp4', marks(Statement('dubbed'), dubbed, sound))
  assert [reading.read(path)[0].source_type for path in (still, dubbed, again)] == [TRAINED] * 3
  spoken = film('spoken.mp4', marks(Statement('dubbed'), sound, still))
  assert reading.read(spoken)[0].source_type == COMPOSITE


def test_no_names_of_files_get_out(film, sound):
  path = film('secret_face.mp4', marks(Statement('animated')))
  assert b'secret' not in film('v.mp4', marks(STATEMENT, path, sound)).read_bytes()


def test_a_manifest_that_is_not_carried_is_told(film, caplog):
  signed = film('signed.mp4')
  signed.write_bytes(signed.read_bytes() + b'\0\0\0\x1cuuid' + isobmff.C2PA_UUID + b'1234')
  with caplog.at_level(logging.WARNING):
    path = film('v.mp4', marks(STATEMENT, signed))
  assert [mark.c2pa for mark in reading.read(path)] == [False, True]
  assert [record.message for record in caplog.records if 'signature is not kept' in record.message]


def test_damaged_marks_of_an_input_do_not_stop_a_dub(film, caplog):
  bad = film('bad.mp4', marks(STATEMENT))
  bad.write_bytes(bad.read_bytes().replace(b'</rdf:RDF>', b'</rdf:RDG>'))
  with caplog.at_level(logging.WARNING):
    assert len(reading.read(film('v.mp4', marks(STATEMENT, bad)))) == 1
  assert 'bad.mp4 are not kept' in caplog.text
