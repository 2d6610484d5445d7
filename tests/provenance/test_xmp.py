"""XMP packets: ours come back, others' are understood, and hostile ones are refused without harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lpips_jax.core.errors import UserError
from lpips_jax.provenance import xmp
from lpips_jax.provenance.statement import IPTC, MAX_INGREDIENTS, Mark, Statement, printable, this_tool

HEAD = (
  '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
  'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
  'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/">'
)
TAIL = '</rdf:RDF></x:xmpmeta>'


@given(st.text(), st.text(), st.text())
def test_what_is_written_comes_back(tool, model, voice):
  statement = Statement('dubbed', printable(tool) or 'tool', printable(model), printable(voice))
  ingredients = [Mark('face', f'{IPTC}digitalCapture', printable(voice), c2pa=True), Mark('face/audio', tool='x')]
  own, *parts = xmp.read(xmp.write(statement, ingredients))
  source_type = f'{IPTC}compositeWithTrainedAlgorithmicMedia'
  assert own == Mark('', source_type, statement.tool, statement.model, statement.voice)
  assert parts == ingredients


def test_the_tool_is_this_one_unless_another_is_named():
  assert xmp.read(xmp.write(Statement('animated'), []))[0].tool == this_tool()


def test_only_trained_algorithms_are_called_ai():
  assert b'AISystemUsed' in xmp.write(Statement('dubbed'), [])
  assert b'AISystemUsed' not in xmp.write(Statement('drawn'), [])


def test_a_signed_film_says_so():
  assert xmp.read(xmp.write(Statement('dubbed'), [], signed=True))[0].c2pa


def test_ingredients_are_limited():
  marks = [Mark(f'face{k}', tool='t') for k in range(MAX_INGREDIENTS + 9)]
  assert xmp.read(xmp.write(Statement('dubbed'), marks))[1:] == marks[:MAX_INGREDIENTS]


@pytest.mark.parametrize(
  'description',
  [
    f'<rdf:Description Iptc4xmpExt:DigitalSourceType="{IPTC}digitalCapture" xmp:CreatorTool="Camera 1"/>',
    f'<rdf:Description><Iptc4xmpExt:DigitalSourceType>{IPTC}digitalCapture</Iptc4xmpExt:DigitalSourceType>'
    '<xmp:CreatorTool>Camera 1</xmp:CreatorTool></rdf:Description>',
    f'<rdf:Description><Iptc4xmpExt:DigitalSourceType rdf:resource="{IPTC}digitalCapture"/></rdf:Description>'
    '<rdf:Description Iptc4xmpExt:AISystemUsed="Camera 1"/>',
  ],
)
def test_statements_of_other_programs_are_understood(description):
  assert xmp.read(f'{HEAD}{description}{TAIL}'.encode()) == [Mark('', f'{IPTC}digitalCapture', 'Camera 1')]


def test_what_others_say_of_their_ingredients_is_not_taken_for_the_file():
  inner = f'<rdf:Description Iptc4xmpExt:DigitalSourceType="{IPTC}digitalCapture"/>'
  nested = f'<xmpMM:Ingredients><rdf:Bag><rdf:li>{inner}</rdf:li></rdf:Bag></xmpMM:Ingredients>'
  packet = f'{HEAD}<rdf:Description xmp:CreatorTool="Cutter 2">{nested}</rdf:Description>{TAIL}'
  assert xmp.read(packet.encode()) == [Mark(tool='Cutter 2')]


@pytest.mark.parametrize(
  'packet', [b'', b'\0\0', b'<x', b'<a></b>', b'\xff\xfe<', b'<?xml version="1.0" encoding="x"?><a/>']
)
def test_damaged_packets_are_refused(packet):
  with pytest.raises(UserError, match='the XMP is damaged'):
    xmp.read(packet)


def test_entities_are_refused_before_they_grow():
  lines = ['<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">']
  lines += [f'<!ENTITY a{k} "{10 * f"&a{k - 1};"}">' for k in range(1, 12)]
  for bomb in (''.join(lines) + ']><x>&a11;</x>', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'):
    for packet in (bomb.encode(), bomb.encode('utf-16')):
      with pytest.raises(UserError, match='declares a document type'):
        xmp.read(packet)


def test_deep_nesting_is_refused_at_once():
  deep = 100_000
  with pytest.raises(UserError, match='more than 64 elements deep'):
    xmp.read(b'<a>' * deep + b'</a>' * deep)
  assert xmp.read(b'<a>' * 64 + b'</a>' * 64) == []
