"""Phones of English words: from a list of words that their spelling does not tell, otherwise from `spelling`."""

import re
from functools import lru_cache

from lpips_jax.speaking.spelling import spelled_out

VOWELS = frozenset(('AA', 'AE', 'AH', 'AO', 'AW', 'AY', 'EH', 'ER', 'EY', 'IH', 'IY', 'OW', 'OY', 'UH', 'UW'))
LETTERS = dict(
  zip(
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
    'EY|B IY|S IY|D IY|IY|EH F|JH IY|EY CH|AY|JH EY|K EY|EH L|EH M|EH N|OW|P IY|K Y UW|AA R|EH S|T IY|Y UW|V IY|'
    'D AH1 B AH0 L Y UW0|EH K S|W AY|Z IY'.split('|'),
    strict=True,
  )
)
# Words that are said weakly: their vowels have no stress.
WEAK = frozenset(
  'a an and are as at be been but by can could did do does for from had has have he her him his i if in is it its me my '
  'of on or our shall she should so some than that the their them then there these they this to us was we were will '
  'with would you your'.split()
)
WORDS = """
a AH0|the DH AH0|of AH V|to T UW|and AE N D|i AY|you Y UW|was W AA Z|is IH Z|his HH IH Z|as AE Z|has HH AE Z|are AA R
were W ER|been B IH N|have HH AE V|do D UW|does D AH Z|done D AH N|doing D UW1 IH0 NG|don't D OW N T|won't W OW N T
said S EH D|says S EH Z|they DH EY|their DH EH R|there DH EH R|they're DH EH R|where W EH R|who HH UW|whose HH UW Z
whom HH UW M|what W AH T|one W AH N|once W AH N S|two T UW|four F AO R|eight EY T|your Y AO R|you're Y AO R|our AW ER0
from F R AH M|some S AH M|come K AH M|none N AH N|gone G AO N|give G IH V|live L IH V|lived L IH V D|living L IH1 V IH0 NG
love L AH V|would W UH D|could K UH D|should SH UH D|been B IH N|any EH1 N IY0|many M EH1 N IY0|again AH0 G EH1 N
against AH0 G EH1 N S T|only OW1 N L IY0|other AH1 DH ER0|another AH0 N AH1 DH ER0|into IH1 N T UW0|very V EH1 R IY0
every EH1 V R IY0|even IY1 V AH0 N|ever EH1 V ER0|never N EH1 V ER0|over OW1 V ER0|people P IY1 P AH0 L|water W AO1 T ER0
because B IH0 K AO1 Z|though DH OW|although AO0 L DH OW1|through TH R UW|thought TH AO T|enough IH0 N AH1 F|though DH OW
cough K AO F|bough B AW|dough D OW|laugh L AE F|laughed L AE F T|laughter L AE1 F T ER0|height HH AY T|great G R EY T
break B R EY K|steak S T EY K|heart HH AA R T|heard HH ER D|bear B EH R|wear W EH R|pear P EH R|tear T EH R|read R IY D
lead L IY D|leader L IY1 D ER0|beauty B Y UW1 T IY0|beautiful B Y UW1 T AH0 F AH0 L|friend F R EH N D|friends F R EH N D Z
science S AY1 AH0 N S|quiet K W AY1 AH0 T|idea AY0 D IY1 AH0|area EH1 R IY0 AH0|real R IY L|really R IY1 L IY0
theater TH IY1 AH0 T ER0|theatre TH IY1 AH0 T ER0|create K R IY0 EY1 T|being B IY1 IH0 NG|seeing S IY1 IH0 NG|shoe SH UW
shoes SH UW Z|move M UW V|prove P R UW V|lose L UW Z|woman W UH1 M AH0 N|women W IH1 M AH0 N|wolf W UH L F|sugar SH UH1 G ER0
sure SH UH R|put P UH T|pull P UH L|push P UH SH|full F UH L|food F UW D|mood M UW D|blood B L AH D|flood F L AH D
door D AO R|floor F L AO R|poor P UH R|foot F UH T|soon S UW N|how HH AW|now N AW|cow K AW|allow AH0 L AW1|wow W AW|bow B AW
own OW N|known N OW N|grown G R OW N|shown SH OW N|flower F L AW1 ER0|answer AE1 N S ER0|island AY1 L AH0 N D
listen L IH1 S AH0 N|often AO1 F AH0 N|whole HH OW L|hour AW1 ER0|hours AW1 ER0 Z|honest AA1 N AH0 S T|heir EH R
honour AA1 N ER0|honor AA1 N ER0|busy B IH1 Z IY0|business B IH1 Z N AH0 S|build B IH L D|built B IH L T|buy B AY|guy G AY
eye AY|eyes AY Z|money M AH1 N IY0|month M AH N TH|months M AH N TH S|son S AH N|won W AH N|front F R AH N T|ton T AH N
mother M AH1 DH ER0|father F AA1 DH ER0|brother B R AH1 DH ER0|daughter D AO1 T ER0|half HH AE F|calf K AE F|talk T AO K
country K AH1 N T R IY0|touch T AH CH|southern S AH1 DH ER0 N|group G R UW P|soup S UW P|youth Y UW TH|route R UW T
soul S OW L|shoulder SH OW1 L D ER0|poem P OW1 AH0 M|minute M IH1 N AH0 T|minutes M IH1 N AH0 T S|second S EH1 K AH0 N D
machine M AH0 SH IY1 N|police P AH0 L IY1 S|chef SH EH F|school S K UW L|schedule S K EH1 JH UH0 L|character K EH1 R IH0 K T ER0
stomach S T AH1 M AH0 K|ocean OW1 SH AH0 N|special S P EH1 SH AH0 L|social S OW1 SH AH0 L|sword S AO R D|receipt R IH0 S IY1 T
today T AH0 D EY1|tomorrow T AH0 M AA1 R OW0|tonight T AH0 N AY1 T|together T AH0 G EH1 DH ER0|toward T AH0 W AO1 R D
about AH0 B AW1 T|away AH0 W EY1|hello HH AH0 L OW1|goodbye G UH0 D B AY1|okay OW0 K EY1|ok OW0 K EY1|please P L IY Z
use Y UW Z|used Y UW Z D|house HH AW S|houses HH AW1 Z IH0 Z|this DH IH S|these DH IY Z|those DH OW Z|thus DH AH S|us AH S
bus B AH S|gas G AE S|yes Y EH S|always AO1 L W EY0 Z|also AO1 L S OW0|almost AO1 L M OW0 S T|something S AH1 M TH IH0 NG
someone S AH1 M W AH0 N|sometimes S AH1 M T AY0 M Z|everyone EH1 V R IY0 W AH0 N|everything EH1 V R IY0 TH IH0 NG
anything EH1 N IY0 TH IH0 NG|nothing N AH1 TH IH0 NG|picture P IH1 K CH ER0|language L AE1 NG G W IH0 JH|video V IH1 D IY0 OW0
audio AO1 D IY0 OW0|computer K AH0 M P Y UW1 T ER0|million M IH1 L Y AH0 N|billion B IH1 L Y AH0 N|sentence S EH1 N T AH0 N S
english IH1 NG G L IH0 SH|europe Y UH1 R AH0 P|february F EH1 B Y AH0 W EH0 R IY0|wednesday W EH1 N Z D EY0|euro Y UH1 R OW0
tuesday T UW1 Z D EY0|november N OW0 V EH1 M B ER0|july JH UH0 L AY1|april EY1 P R AH0 L|august AO1 G AH0 S T
zero Z IH1 R OW0|seven S EH1 V AH0 N|eleven IH0 L EH1 V AH0 N|twelve T W EH L V|thirteen TH ER0 T IY1 N|hundred HH AH1 N D R AH0 D
ninth N AY N TH|doctor D AA1 K T ER0|mister M IH1 S T ER0|missus M IH1 S IH0 Z|ms M IH Z|professor P R AH0 F EH1 S ER0
etcetera EH0 T S EH1 T ER0 AH0|versus V ER1 S AH0 S|percent P ER0 S EH1 N T|o'clock AH0 K L AA1 K|oh OW|mr M IH1 S T ER0
colour K AH1 L ER0|color K AH1 L ER0|colonel K ER1 N AH0 L|choir K W AY1 ER0|queue K Y UW|aunt AE N T|ball B AO L|war W AO R
says S EH Z|bury B EH1 R IY0|debt D EH T|doubt D AW T|climb K L AY M|comb K OW M|tomb T UW M|bomb B AA M|womb W UW M
both B OW TH|most M OW S T|ghost G OW S T|post P OW S T|host HH OW S T|mind M AY N D|wind W IH N D|child CH AY L D
children CH IH1 L D R AH0 N|far F AA R|star S T AA R|car K AA R|bar B AA R|jar JH AA R|war W AO R|world W ER L D
get G EH T|forget F ER0 G EH1 T|forgive F ER0 G IH1 V|begin B IH0 G IH1 N|girl G ER L|gift G IH F T|tiger T AY1 G ER0
finger F IH1 NG G ER0|anger AE1 NG G ER0|hunger HH AH1 NG G ER0|longer L AO1 NG G ER0|younger Y AH1 NG G ER0|young Y AH NG
certain S ER1 T AH0 N|captain K AE1 P T AH0 N|mountain M AW1 N T AH0 N|curtain K ER1 T AH0 N|fountain F AW1 N T AH0 N
bargain B AA1 R G AH0 N|voice V OY S|choice CH OY S|science S AY1 AH0 N S|iron AY1 ER0 N|bread B R EH D|weight W EY T
"""
# Ends of words whose stress falls on the syllable before them.
STRESS_BEFORE = re.compile(
  r'(?:[tsc]i(?:on|an|al|ous|ent)s?|ics?|ical(?:ly)?|ity|ities|ify|ogy|ogist|ian|ial|ious|eous|ual(?:ly)?|graphy|'
  r'ular|utive|itive|ive(?:ly)?(?<=[st]ive))$'
)
PREFIX = re.compile(r'(?:be|de|re|dis|e[nmx]|mis|un|ob|sus|sub|pre|sur|acc|aff|app|ass|att|imp|inv|int?r)[a-z]')
FAR_BACK = re.compile(r'(?:ate[sd]?|ating|ize[sd]?|ise[sd]?|izing|ising|y|ies|ary|ent|ence|ant|ance)$')
REDUCED = {'AE': 'AH', 'AA': 'AH', 'AO': 'AH', 'EH': 'IH', 'UH': 'AH', 'OW': 'OW'}


@lru_cache(maxsize=4096)
def pronounce(word: str) -> tuple[str, ...]:
  """Returns the phones of a word, as the CMU dictionary writes them: a vowel ends in 1 if it is stressed, else in 0.

  Args:
    word: lower-case letters a to z and apostrophes, or a capital letter, which is called by its name.
  """
  if word in LETTERS:
    return _marked(LETTERS[word].split(), word)
  if listed := _LISTED.get(word):
    return _marked(listed, word)
  for ending, phones in (("'s", _s), ('s', _s)):
    stem = word.removesuffix(ending)
    if stem != word and (listed := _LISTED.get(stem)) and not stem.endswith('s'):
      return _marked([*listed, *phones(listed[-1])], stem)
  return _marked(spelled_out(word), word)


def _s(last: str) -> list[str]:
  """Returns the phones of a plural's ending after a phone."""
  if last in ('S', 'Z', 'SH', 'ZH', 'CH', 'JH'):
    return ['IH0', 'Z']
  return ['S'] if last in ('P', 'T', 'K', 'F', 'TH') else ['Z']


def _marked(phones: list[str], word: str) -> tuple[str, ...]:
  """Marks the vowels that have no mark yet, by the one that is stressed."""
  if word in WEAK:
    return tuple(f'{phone}0' if phone in VOWELS else phone for phone in phones)
  vowels = [place for place, phone in enumerate(phones) if phone.rstrip('01') in VOWELS]
  open_ones = [place for place in vowels if phones[place] in VOWELS]
  if not open_ones:
    return tuple(phones)
  already = any(phones[place].endswith('1') for place in vowels)
  stressed = -1 if already else _stressed(vowels, open_ones, word)
  marked = list(phones)
  for place in open_ones:
    if place == stressed:
      marked[place] = f'{phones[place]}1'
    else:
      marked[place] = f'{_reduced(phones, place, vowels)}0'
  return tuple(marked)


def _stressed(vowels: list[int], open_ones: list[int], word: str) -> int:
  """Returns the place of the stressed vowel."""
  before = STRESS_BEFORE.search(word)
  if before and len(vowels) > 1:
    syllables = len(re.findall('[aeiouy]+', before[0]))
    wanted = vowels[max(0, len(vowels) - syllables - 1)]
    return wanted if wanted in open_ones else open_ones[-1]
  if len(vowels) == 2 and len(open_ones) == 2 and PREFIX.match(word):
    return open_ones[1]
  if len(vowels) >= 4 and FAR_BACK.search(word):
    wanted = vowels[-3]
    return wanted if wanted in open_ones else open_ones[0]
  if len(vowels) >= 3 and PREFIX.match(word) and len(open_ones) > 1:
    return open_ones[1]
  return open_ones[0]


def _reduced(phones: list[str], place: int, vowels: list[int]) -> str:
  """Returns an unstressed vowel: before the stress, and inside a word, short ones lose their colour."""
  phone = phones[place]
  return REDUCED.get(phone, phone) if place != vowels[-1] or phone in ('AE', 'AA') else phone


_LISTED = {
  word: phones.split()
  for word, phones in (entry.split(' ', 1) for entry in WORDS.strip().replace('\n', '|').split('|'))
}
