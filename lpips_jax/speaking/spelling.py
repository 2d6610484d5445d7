"""Letter-to-sound rules of English: how words that `pronouncing.WORDS` does not hold are said.

A rule is `left{letters}right PHONES`: these letters, after `left` and before `right`, are these phones (ARPAbet, as
`audio.phones.PHONES`); the first rule that fits is taken. Contexts are regular expressions in which V is a vowel
letter, C a consonant letter, F one of e, i and y, and B the consonants before the first vowel of the word. A vowel with
a 0 is never stressed. Measured on the words of a dictionary: docs/speech.md.
"""

import re
from functools import cache
from typing import NamedTuple

CLASSES = {'V': '[aeiouy]', 'C': '[bcdfghjklmnpqrstvwxz]', 'F': '[eiy]', 'B': '^(?:qu|[bcdfghjklmnpqrstvwxz])*'}

RULES = r"""
^{a}$ AH0
^{a}(?:bo|cc|cr|dd?re|dju|dop|dv|ff|gain|gen|go$|gr|h|li[kv]|ll?o|ma|mo|nno|par|pp|rou|rri|sid|sl|ss|tt|wa|wo|wh) AH0
w{ar} AO R
qu{ar} AO R
w{a}(?:n|s[hp]|tc?h|ll?(?:e|o)|d) AA
{augh} AO
{au} AO
{aw} AO
{ay} EY
{air} EH R
{ai} EY
{are}(?:$|s$|d$|ful|ly$|less) EH R
{ar}(?=[aiou]|rV) EH R
VC+{ar}d?s?$ ER0
VC+{ary}$ EH R IY0
{ar} AA R
{alk} AO K
{al}(?:ms?$|med$|f$|ves$) AE
{a}ll(?:$|s$|ed$|ing$|er$|y$) AO
{a}l[dt] AO
^{a}l(?:mo|r|so|w) AO
{a}ng(?:e|ing) EY
{a}ste(?:$|s$|d$) EY
B{able}s?$ EY B AH0 L
VC+{able}s?$ AH0 B AH0 L
VC+{ably}$ AH0 B L IY0
VC+{age}s?$ IH0 JH
VC+{age}d$ IH0 JH
VC+{ace}$ AH0 S
{a}(?:bl|cl|dl|pl|tl)e EY
{a}(?:ti(?:o|e)|ci|si(?:o|a)|ce?ous|gious|di|vi|ni(?:a|u)) EY
VC+{a}tive AH0
VC+{al}(?:s|ly|i[sz][emt]\w*)?$ AH0 L
VC+{an}(?:s|t|ts|ce|cy|tly|d)?$ AH0 N
VC+{a}t(?:e|es|ed|ing|or|ors)$ EY
{a}C(?:e|es|ed|er|ers|ely|eful|ement|eless)$ EY
B{a}C(?:ing|y|or|is|ent|on|in|al|us|o)s?$ EY
{a}ques?$ AE
{aa} AA
{ae} IY
{a}$ AH0
{a}h$ AA
{a} AE

{eigh} EY
c{ei} IY
{eir} EH R
{ei} IY
{eer} IH R
{ee} IY
{earr} EH R
{ear}(?:n|l|th|ch|s[et]) ER
{eart} AA R T
{ear} IH R
{eau}t Y UW
{eau} OW
{eau} OW
{ea}(?:d(?:$|s$|y|i|l)|the?r|th$|lth|nt$|s[au]|v(?:y|en|i)|k[f]|pon|dow) EH
cr{ea}(?:t|$) IY EY
{ea} IY
{eo}(?:p) IY
{eo} IY AH0
{er}e$ IH R
{er}i(?:o|e|a) IH R
{err} EH R
VC*{er}(?:s|ed|ing|ly|n|ns|'s|y)?$ ER0
V\w*{er}(?:Cy?\w*$) ER0
{er}(?=V) EH R
{er} ER
{eu} Y UW
{ewe} UW
[jlrcs]{ew} UW
ch{ew} UW
[dnt]{ew} UW
{ew} Y UW
VC*{ey}(?:s|ed)?$ IY0
{ey} EY
B{e}$ IY
[td]{ed}$ IH0 D
(?:p|k|f|c|s|x|ch|sh){ed}$ T
V\w*{ed}$ D
(?:s|z|x|c|g|ch|sh){es}$ IH0 Z
V\w*[pktf]{es}$ S
V\w*{es}$ Z
V\w*C{e}'s$ .
V\w*{e}$ .
V\w*C{e}(?:ly$|ment|ful|less|ness|some|wh|th|v?bo|day|time|work|man$|line|land) .
[cg]{e}(?:a|o) .
{e}(?:bt$) EH
{e}C(?:e$|es$) IY
B{e}(?:qu|go|v(?:en|il)|m(?:a|o)|C(?:i[aou]|a|us)) IY
^{e}(?:ff|le[cv]|mer|mot|nou|ns|qui|rr|spec|st|v(?:ent|al)|x|n[cdfgjlrtv]|m[bpo]) IH
^(?:b|d|r|pr){e}(?=C[aeiouy]|[cs]?C[rl]|[cs]C) IH
VC+{el}s?$ AH0 L
VC+{em}s?$ AH0 M
VC+{en}(?:s|t|ts|ce|ces|cy|tly|ed)?$ AH0 N
VC+{et}(?:s|ed)?$ AH0 T
VC+{ess}$ AH0 S
{e}'  .
{e} EH

^{i}$ AY
{igh} AY
{ign}(?:$|s$|ed$|er|ing$|ment) AY N
{i}(?:nd(?:$|s$|e|ing|l)|ld(?:$|s$|er)) AY
B{ie}(?:$|s$|d$) AY
{ie}(?:ld|v|f|ce|ge|r[cs]e|n?d$) IY
{iew} Y UW
{ies}$ IY0 Z
{ied}$ IY0 D
{ier}(?:s?$) IY0 ER0
{ie}(?:nt|nc) IY0 AH0
{ie} IY
{ire}(?:$|s$|d$|ment|ly) AY ER0
{ir}(?=[aeiou]|rV) IH R
{ir} ER
{ique}s?$ IY K
V\w*{i}ne$ IY
VC+{i}(?:ces?|ves?|vely|te)$ IH0
{i}z(?:e|ing|a) AY
V\w*{i}fi(?:ed|es) AH0
VC+{i}fy AH0
VC+{i}(?:ty|ties|ble|bly|cal)$ AH0
{i}(?:bl|dl|tl|fl)e AY
{i}C(?:e|es|ed|er|ers|ely|eful|ement|eless)$ AY
B{i}C(?:ing|al|us|o|or|y|ly|ent)s?$ AY
B{i}(?:a|e|o) AY
{ia}$ IY0 AH0
{io}(?:us|n) IY0 AH0
{i}V IY0
{i}$ IY0
VC+{i}(?:C$|Cs$) IH0
{i} IH

^{o}(?:f)$ AH
{ooge} UW JH
{oor} AO R
{oo}(?:k|d(?:$|s$|e|l|w)|t(?:$|s$|b)) UH
{oo} UW
{oar} AO R
{oa} OW
{oe}(?:$|s$) OW
{oi} OY
{oy} OY
{ought} AO T
{ough} AH F
{ould} UH D
{our}s?$ AW ER0
{ourn} ER N
{our} AO R
{ous}(?:$|ly|ness) AH0 S
{ou}(?:bl|ntr|pl|sin|ng|ch$|th(?:e|$)r?n) AH
{ou}(?:p|t[ei]$|ge?$) UW
{ou} AW
{ow}(?:d|l|er(?!$)|sV|bo) AW
(?:p|t|fl|sh|h){ow}er AW
(?:d|t|br|cl|cr|dr|fr|g){ow}n AW
{ow} OW
w{or}(?:[dkmst]|l|th|r) ER
{ore}(?:$|s$|d$) AO R
VC*[tsnrvlc]{or}s?$ ER0
VC+{ory}$ ER0 IY0
{orr} AA R
{or} AO R
{o}l(?:d|t|l(?:$|s$|e|i)|k) OW
{o}st(?:$|s$|er|l|ed|m) OW
{o}ther AH
(?:l|ab|gl|sh|d){o}v AH
^c{o}v AH
m{o}(?:n(?:ey|k|day|th|g)|ther) AH
c{o}m(?:e|i|fo|pa(?:n|s)) AH
s{o}me AH
{o}(?:ng|ff|ss|ft|gs?$|st|th$|ths$) AO
(?:m|pr){o}v(?:e|i) UW
{o}(?:ci|ti|ce|si)(?:a|o) OW
{o}C(?:e|es|ed|er|ers|ely|eful|ement|eless)$ OW
B{o}C(?:ing|al|us|um|en|o|a|ent|or|io|ia|iu|y$|on|ic?$|ri|ram|grV)\w?$ OW
^pr{o}(?:v|d|f|m|p|t|gr|j)(?=V\w*) AH
^c{o}[mn](?=C\w*VC) AH
{o}(?:$|s$|es$|'s$) OW
VC+{on}(?:s|ed|ing)?$ AH0 N
VC+{om}s?$ AH0 M
VC+{o}(?:l|r|m|g|n)V AA
VC+{o}(?:t|d|p)s?$ AH0
{o} AA

g{u}(?:e|ess|i|a) .
{uy} AY
{ui}(?:t|c|s) UW
b{ui}l IH
[jlr]{ue}s?$ UW
bl{ue} UW
tr{ue} UW
{ue}(?:s|d)?$ Y UW
{ure}(?:$|s$|d$) Y UH R
(?:s|t|r|l|j){ur}(?=[aiou]) UH R
{ur}(?=[aiou]) Y UH R
{urr} ER
{ur} ER
(?:f|p|b){u}(?:ll|sh) UH
^p{u}t UH
^{u}ni Y UW
^{u}(?:s|t[ei]) Y UW
[chjlrdtn]{u}C(?:e|es|ed|er|ers|ely|ing|y|al|ent|or|o|i[aeo]\w*)$ UW
{u}C(?:e|es|ed|er|ers|ely|ing)$ Y UW
B{u}C(?:al|us|or|o|i[aco]\w*|il|a[nl]\w*|ent|ct|ture)$ Y UW
{u}(?:al|ou|a) UW0
V[jlr]{u}CV UW0
VC+{u}C?CV Y UW0
{u}$ UW
{u}V UW
VC+{u}(?:s|m|ms)$ AH0
{u} AH

^{y}V Y
V{y}V Y
B{y}(?:$|ing|'s) AY
if{y}(?:$|ing) AY
{y}C(?:e|es|ed|er|l)s?$ AY
{yr}(?=e) AY R
V\w*C{y}(?:$|'s$) IY0
{y}$ IY0
B{y}(?:p|d|b|g) AY
{y} IH

m{b}(?:$|s$|ed$|ing$|er$) .
{b}(?:t$|ts$|t(?:ed|ful|or)) .
{bb} B
{b} B

s{ch}(?:o|e) K
{ch}(?:r|l|em|ara|aos|ord|or|ni|no|it) K
(?:ma|para){ch} SH
{ch} CH
{ck} K
{cc}(?=F) K S
{cc} K
{ci}(?:al|an|ous|en) SH
{ce}an SH
s{c}(?=F) .
{cqu} K W
{c}(?=F) S
{c} K

{dge} JH
{dg}(?=F) JH
{dd} D
{d}u(?:al|ca|at) JH
{d} D

{ff} F
{f} F

^{gh} G
{gh} .
{gg} G
^{g}n .
{g}n(?:$|s$|ed|ing|er|ment) .
^{g}(?:e(?:t|ar|e)|i(?:r|f|v|l|gg)) G
(?:be|to|for|ti|ar|fin|an|lon|stron|youn|hun|ea|tar|fo){g}(?:i|e(?:t|th|r|st)) G
{ge}(?:$|a|o) JH
{g}(?=F) JH
{g} G

^{h}(?:our|onest|onou?r|eir) .
[xr]{h} .
V{h}(?:$|s$|C) .
{h} HH

{j} JH

^{k}n .
{k} K

C{le}(?:$|s$|d$) AH0 L
{ll} L
{l} L

{mm} M
{m} M

{n}ge N
{ng}(?:$|s$|ed$|ing|ings$|th|ster|'s$|ly|ful|b|s) NG
{n}(?=[gkqx]|c[^eiyh]|ch?o) NG
m{n}(?:$|s$) .
{nn} N
{n} N

{ph} F
^{p}[sn] .
{pp} P
{p} P

{que}(?:$|s$) K
{qu} K W
{q} K

{rr} R
{r} R

{sh} SH
{sch}e S K
{ssion} SH AH0 N
{ssure} SH ER0
V{sion} ZH AH0 N
r{sion} ZH AH0 N
{sion} SH AH0 N
V{sure} ZH ER0
V{su}al ZH UW0
{ss} S
{st}(?:le|en(?!t|d|s)) S
{sm}(?:$|s$) Z AH0 M
V{s}'  Z
{s}'s$ S
(?:ea|ee|oi|oo|ai|i|o|au|u){s}(?:e|es|ed|ing|er)$ Z
V{s}V Z
n{s}$ Z
[bdglmrvw]{s}$ Z
'{s}$ Z
[iu]{s}$ S
V{s}$ Z
{s} S

{tch} CH
s{tion} CH AH0 N
{tion} SH AH0 N
{ti}(?:al|ent|ous|a|en) SH
{ture}(?:$|s$|d$) CH ER0
{tur}V CH ER0
{t}u(?:al|ous|a|n) CH
^{th}(?:e$|at$|an$|en$|is$|ese$|ose$|ere|ey|em|eir|us$|ough) DH
{th}(?:er(?!m)|e$|es$|ed$|ing$|y$) DH
{th} TH
{tt} T
{t} T

{v} V

{wr} R
{wh}o HH
{wh} W
s{w}o .
{w}(?=V|h) W
{w} .

^{x} Z
^e{x}h?V G Z
{xc}(?=F) K S
{x} K S

{zz} Z
{z} Z

{'} .
"""


class Rule(NamedTuple):
  """One letter-to-sound rule.

  Attributes:
    letters: the letters that it reads.
    before: matches the letters before them; None for any.
    after: matches the letters after them, from their beginning; None for any.
    phones: of the letters; none if they are silent.
  """

  letters: str
  before: re.Pattern[str] | None
  after: re.Pattern[str] | None
  phones: tuple[str, ...]


def spelled_out(word: str) -> list[str]:
  """Returns the phones of a word by the rules, stress not yet assigned.

  Args:
    word: of the letters a to z and apostrophes.
  """
  phones: list[str] = []
  rules = _rules()
  place = 0
  while place < len(word):
    before, after = word[:place], word[place:]
    rule = next(rule for rule in rules[word[place]] if _fits(rule, before, after))
    phones += rule.phones
    place += len(rule.letters)
  return phones


def _fits(rule: Rule, before: str, after: str) -> bool:
  if not after.startswith(rule.letters) or (rule.before and not rule.before.search(before)):
    return False
  return rule.after is None or rule.after.match(after[len(rule.letters) :]) is not None


@cache
def _rules() -> dict[str, list[Rule]]:
  """Returns the rules by the first of their letters."""
  rules: dict[str, list[Rule]] = {}
  for line in filter(None, RULES.splitlines()):
    pattern, *phones = line.split()
    left, letters, right = re.fullmatch(r'(.*?)\{(.*?)\}(.*)', pattern).groups()
    before = re.compile(f'(?:{_expanded(left)})$') if left else None
    after = re.compile(_expanded(right)) if right else None
    spoken = () if phones == ['.'] else tuple(phones)
    rules.setdefault(letters[0], []).append(Rule(letters, before, after, spoken))
  return rules


def _expanded(pattern: str) -> str:
  return re.sub('[VCFB]', lambda found: CLASSES[found[0]], pattern)
