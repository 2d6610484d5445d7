"""XMP packets (ISO 16684-1): writing the project's statements, and reading those of any program."""

from collections.abc import Iterator, Sequence
from typing import NoReturn
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from lpips_jax.core.errors import UserError
from lpips_jax.provenance.statement import (
  MAX_INGREDIENTS,
  PACKAGE,
  SOURCE_TYPES,
  Mark,
  Statement,
  printable,
  this_tool,
  this_version,
)

NAMESPACES = {
  'rdf': 'http://www.w3.org/1999/02/22-rdf-syntax-ns#',
  'dc': 'http://purl.org/dc/elements/1.1/',
  'xmp': 'http://ns.adobe.com/xap/1.0/',
  'xmpMM': 'http://ns.adobe.com/xap/1.0/mm/',
  'Iptc4xmpExt': 'http://iptc.org/std/Iptc4xmpExt/2008-02-29/',
  'lipsync': 'urn:lpips-jax:provenance:1:',  # the project's own
}
SOURCE_TYPE = 'Iptc4xmpExt:DigitalSourceType'
TOOLS = 'Iptc4xmpExt:AISystemUsed', 'xmp:CreatorTool'  # where programs name themselves
MODEL, VOICE, PART, TOOL, C2PA = 'lipsync:Model', 'lipsync:Voice', 'lipsync:Part', 'lipsync:Tool', 'lipsync:C2PA'
MAX_DEPTH = 64  # of elements within each other
INGREDIENTS = 'xmpMM:Ingredients'
BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'  # of every packet, so that it is found by scanning
END = '<?xpacket end="r"?>'


def write(statement: Statement, ingredients: Sequence[Mark], signed: bool = False) -> bytes:
  """Returns a packet that states how a film was made, and the marks of what it was made from.

  Args:
    statement: about the film.
    ingredients: at most the first `MAX_INGREDIENTS` are written.
    signed: whether the film will be signed by C2PA, so that it shows when the signature was taken out.
  """
  stated = {
    SOURCE_TYPE: SOURCE_TYPES[statement.source_type],
    'xmp:CreatorTool': statement.tool or this_tool(),
    TOOL: statement.tool or this_tool(),
    MODEL: statement.model,
    VOICE: statement.voice,
    C2PA: 'True' if signed else '',
  }
  if statement.source_type != 'drawn':
    stated |= {'Iptc4xmpExt:AISystemUsed': PACKAGE, 'Iptc4xmpExt:AISystemVersionUsed': this_version()}
  items = [
    {
      PART: mark.part,
      SOURCE_TYPE: mark.source_type,
      TOOL: mark.tool,
      MODEL: mark.model,
      VOICE: mark.voice,
      C2PA: 'True' if mark.c2pa else '',
    }
    for mark in ingredients[:MAX_INGREDIENTS]
  ]
  lines = [
    BEGIN,
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
    f'<rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">',
    f'<rdf:Description rdf:about=""{"".join(_namespaces())}{_attributes(stated)}>',
    f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(statement.in_words())}</rdf:li></rdf:Alt>'
    '</dc:description>',
    f'<{INGREDIENTS}><rdf:Bag>' if items else '',
    *(f'<rdf:li><rdf:Description{_attributes(item)}/></rdf:li>' for item in items),
    f'</rdf:Bag></{INGREDIENTS}>' if items else '',
    '</rdf:Description>',
    '</rdf:RDF>',
    '</x:xmpmeta>',
    END,
  ]
  return '\n'.join(filter(None, lines)).encode()


def read(packet: bytes) -> list[Mark]:
  """Returns the marks in a packet: of the file itself, unless it says nothing, then of what it was made from.

  Raises:
    UserError: it is damaged, or declares entities, which no XMP packet does.
  """
  found: dict[str, str] = {}
  ingredients: list[Mark] = []
  for description in (child for rdf in _root(packet).iter(_name('rdf:RDF')) for child in rdf):
    found = _stated(description) | found  # the first one says
    for item in description.iterfind(f'{_name(INGREDIENTS)}//{_name("rdf:Description")}'):
      if PART in (stated := _stated(item)):
        ingredients.append(_mark(stated))
  own = _mark(found)
  return [own] * own.says_something + ingredients[:MAX_INGREDIENTS]


def _namespaces() -> Iterator[str]:
  yield from (f' xmlns:{name}="{space}"' for name, space in NAMESPACES.items() if name != 'rdf')


def _attributes(values: dict[str, str]) -> str:
  return ''.join(f' {name}={quoteattr(printable(value))}' for name, value in values.items() if value)


def _name(prefixed: str) -> str:
  """Returns a name as ElementTree writes it."""
  prefix, _, name = prefixed.partition(':')
  return f'{{{NAMESPACES[prefix]}}}{name}'


def _stated(description: ElementTree.Element) -> dict[str, str]:
  """Returns the texts of an rdf:Description that are of interest, which XMP allows as attributes and as elements."""
  found = {}
  for name in (SOURCE_TYPE, *TOOLS, TOOL, MODEL, VOICE, PART, C2PA):
    text = description.get(_name(name))
    if text is None and (element := description.find(_name(name))) is not None:
      text = element.get(_name('rdf:resource')) or ' '.join(element.itertext())
    if text and (text := printable(text)):
      found[name] = text
  return found


def _mark(stated: dict[str, str]) -> Mark:
  tool = next((stated[name] for name in (TOOL, *TOOLS) if name in stated), '')
  model, voice = stated.get(MODEL, ''), stated.get(VOICE, '')
  return Mark(stated.get(PART, ''), stated.get(SOURCE_TYPE, ''), tool, model, voice, C2PA in stated)


class _Plain(ElementTree.TreeBuilder):
  """Builds a tree of XML that is not deep, and has no document type: that declares entities, which could grow."""

  _depth = 0

  def start(self, tag: str, attrs: dict[str, str]) -> ElementTree.Element:
    self._depth += 1
    if self._depth > MAX_DEPTH:
      raise UserError(f'the XMP is more than {MAX_DEPTH} elements deep, which no XMP packet is: it is not read')
    return super().start(tag, attrs)

  def end(self, tag: str) -> ElementTree.Element:
    self._depth -= 1
    return super().end(tag)

  def doctype(self, *_: object) -> NoReturn:
    raise UserError('the XMP declares a document type, which no XMP packet does: it is not read')


def _root(packet: bytes) -> ElementTree.Element:
  text = packet.strip(b'\0 \t\r\n')
  try:
    return ElementTree.fromstring(text, ElementTree.XMLParser(target=_Plain()))
  except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter: its encoding is not known
    raise UserError(f'the XMP is damaged ({error}): it is not read') from error
