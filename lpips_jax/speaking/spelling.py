"""Letter-to-sound rules of English: how words that `words.LISTED` does not hold are said.

A rule is `left{letters}right PHONES`: these letters, after `left` and before `right`, are these phones (ARPAbet, as
`audio.phones.PHONES`), or `.` for none; the first rule that fits is taken. Contexts are regular expressions in which

  V  is a vowel letter, y among them             C  a consonant letter
  F  one of e, i and y                           E  an ending that begins with e
  B  the beginning of the word, up to its vowel  K  the second part of a compound

A vowel that ends in 0 is never stressed. docs/speech.md says how often the rules are right.
"""

RULES = r"""
{a}x AE
^{a}$ AH0
^{any} EH N IY0
^{a}(?:bo|cc[ou]|cr|dd?re|dju|dop|dv|ff|gain|gen|go$|gr|h|li[kv]|ll?o|maz|mo|nno) AH0
^{a}(?:part|pp[elor](?!e$)|rou|rri|sid|sl|ss[uio]|tt[ae]|wa|wo) AH0
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
w{arr} AO R
{arr}(?=V) EH R
{ar}(?=[aiou]) EH R
w{ard}s?$ ER0 D
VC+{ar}d?s?$ ER0
VC+{ary}$ EH0 R IY0
{ar} AA R
{alk} AO K
{al}(?:ms?$|med$|f$|ves$) AE
{a}ll(?:$|s$|ed$|ing$|er$|y$) AO
{a}l[dt] AO
^{a}l(?:mo|r|so|w) AO
{a}ng(?:e|ing) EY
{a}ste(?:$|s$|d$) EY
(?:B|^en|^dis){able}[sd]?$ EY B AH0 L
VC+{able}s?$ AH0 B AH0 L
VC+{ably}$ AH0 B L IY0
VC+{ages}$ IH0 JH IH0 Z
VC+{age}$ IH0 JH
VC+{age}d$ IH0 JH
{a}ture EY
{a}(?:bl|cl|dl|pl|tl)e EY
{a}(?:ti(?:o|e)|ci|si(?:o|a)|ce?ous|gious|di|vi|ni(?:a|u)) EY
VC+{a}tive AH0
[iu]{al}(?:s|ly|i\w*)?$ AH0 L
[iue]{an}s?$ AH0 N
VC+{al}(?:s|ly|i[sz][emt]\w*)?$ AH0 L
VC+{an}(?:s|t|ts|ce|cy|tly|d)?$ AH0 N
VC+{a}t(?:e|es|ed|ing|or|ors)$ EY
{a}C(?:E$|eK) EY
B{a}C(?:ing|y|or|is|ent|on|al|us|o)s?$ EY
{a}ques?$ AE
{aa} AA
{ae} IY
{a}$ AH0
{a}h$ AA
{a} AE
{e}x EH
^{every}(?=.) EH1 V R IY0
{eigh} EY
c{ei} IY
{eir} EH R
{ei} IY
{eer} IH R
{ee} IY
{earr} EH R
{ear}(?:n(?!e)|th|ch|s[et]) ER
(?:^|p){ear}l ER
{eart} AA R T
{ear} IH R
{eau}t Y UW
{eau} OW
{eau} OW
{ea}(?:d(?:$|s$|y|l)|the?r|th$|lth|nt$|s[au]|v(?:y|en|i)|k[f]|pon|dow) EH
cr{ea}(?:t|$) IY EY
{ea} IY
{eo}(?:p) IY
{eo} IY AH0
{er}e$ IH R
{er}i(?:o|e|a) IH R
{err}(?:ed|ing)$ ER
{err} EH R
VC*{er}(?:s|ed|ing|ly|n|ns|'s|y)?$ ER0
V\w*{er}(?:Cy?\w*$) ER0
VC+{er}(?=V) ER
{er}(?=V) EH R
{er} ER
{eu} Y UW
[jlrcs]{ew} UW
ch{ew} UW
[dnt]{ew} UW
{ew} Y UW
VC*{ey}(?:s|ed)?$ IY0
{ey} EY
B{e}$ IY
[td]{ed}$ IH0 D
(?:ss|[^eiop]as|ns|ps|p|k|f|c|x|ch|sh){ed}$ T
V\w*{ed}$ D
(?:s|z|x|c|g|ch|sh){es}$ IH0 Z
V\w*[pktf]{es}$ S
V\w*{es}$ Z
V\w*C{e}'s$ .
V\w*{e}$ .
V\w*C{e}(?:ly$|ful|less|ness|some|v?bo|day|man$|men$|land|K) .
V\w*[^lmV]{e}ment .
[cg]{e}(?:a|o) .
{e}(?:bt$) EH
{e}C(?:e$|es$) IY
^{e}v(?:ent|al|ol) EH
B{e}(?:qu|go|v(?:en|il)|m(?:a|o)|C(?:i[aou]|a|us)) IY
i{e}n(?:t|ts|ce|ces|cy|tly)$ AH0
VC+{el}s?$ AH0 L
VC+{em}s?$ AH0 M
VC+{en}(?:s|t|ts|ce|ces|cy|tly|ed)?$ AH0 N
VC+{et}(?:s|ed)?$ AH0 T
VC+{ess}$ AH0 S
B{e}' IY
{e}'  .
{e} EH
{i}x IH
^{i}$ AY
{igh} AY
{ign}(?:$|s$|ed$|er|ing$|ment) AY N
{i}(?:nd(?:$|s$|e|ing|l)|ld(?:$|s$|er)) AY
B{ie}(?:$|s$|d$) AY
{ie}(?:ld|v|f|ce|ge|r[cs]e|n?d$) IY
{iew} Y UW
(?:f|pl){ies}$ AY Z
(?:f|pl){ied}$ AY D
{ies}$ IY0 Z
{ied}$ IY0 D
{ier}(?:s?$) IY0 ER0
{ie}(?:nt|nc) IY0 AH0
{ie} IY
{ire}(?:$|s$|d$|ment|ly) AY ER0
{irr} IH R
{ir}(?=[aeiou]) IH R
{ir} ER
{ique}s?$ IY K
V\w*{i}ne$ IY
VC+{i}(?:ces?|ves?|vely|te)$ IH0
{i}z(?:e|ing|a) AY
V\w*{i}fi(?:ed|es) AH0
VC+{i}fy AH0
VC+{i}(?:ty|ties|ble|bly|cal)$ AH0
{i}(?:bl|dl|tl|fl)e AY
{i}C(?:E$|eK) AY
B{i}$ AY
B{i}C(?:ate|ing|al|us|o|or|ly|ent|em|en)s?$ AY
B{i}(?:a|e|o) AY
{ia}$ IY0 AH0
{ious}(?:$|ly) IY0 AH0 S
{io}n IY0 AH0
{i}V IY0
{i}$ IY0
VC+{i}(?:C$|Cs$) IH0
{i} IH
{o}x AA
^{o}(?:f)$ AH
{ooge} UW JH
{oor} AO R
{oo}(?:k|d(?:$|s$|e|l|w)|t(?:$|s$|b)) UH
{oo} UW
{oar} AO R
{oa} OW
{oe}(?:$|s$) OW
{o}ing$ OW
{oi} OY
{oy} OY
{ought} AO T
{ough} AH F
{ould} UH D
VC+{our}s?$ ER0
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
V\w*{or}s?$ ER0
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
w{o}n AH
y{one}$ W AH0 N
{o}(?:ng|ff|ss|ft|gs?$|st|th$|ths$) AO
(?:m|pr){o}v(?:e|i) UW
{o}(?:ci|ti|ce|si)(?:a|o) OW
{o}C(?:E$|eK) OW
B{o}C(?:ing|al|us|um|en|o|a|ent|or|io|ia|iu|y$|on|ic?$|ri|ram|grV)\w?$ OW
^pr{o}(?:v|d|f|m|p|t|gr|j)(?=V) AA
^c{o}[mn](?=C\w*VC) AA
{o}(?:$|s$|es$|'s$) OW
VC+{on}(?:s|ed|ing)?$ AH0 N
VC+{om}s?$ AH0 M
VC+{o}(?:l|r|m|g|n)V AA
VC+{o}(?:t|d|p)s?$ AH0
{o} AA
{u}x AH
g{u}(?:e|ess|i|a) .
{uy} AY
{ui}(?:t|c|s) UW
b{ui}l IH
B{ue}s?$ UW
{ue}(?:s|d)?$ Y UW
VC+{ure}(?:$|s$|d$) Y ER0
{ure}(?:$|s$|d$) Y UH R
(?:s|t|r|l|j){ur}(?=[aiou]) UH R
{ur}(?=[aiou]) Y UH R
{urr} ER
{ur} ER
(?:f|p|b){u}(?:ll|sh) UH
{u}ture Y UW
^p{u}t UH
^{u}ni Y UW
^{u}(?:s|t[ei]) Y UW
[chjlrdtn]{u}C(?:e|es|ed|er|ers|ely|ing|y|al|ent|or|o|i[aeo]\w*)$ UW
{u}C(?:e|es|ed|er|ers|ely|ing)$ Y UW
B{u}C(?:al|us|or|o|i[aco]\w*|il|a[nl]\w*|ent|ct|ture)$ Y UW
{u}(?:al|ou|a) UW0
V[jlr]{u}CV UW0
VC+{u}C(?=[aeiou]\w) Y UW0
{u}$ UW
{u}V UW
VC+{u}(?:s|m|ms)$ AH0
{u} AH
^{y}V Y
V{y}V Y
pl{y}(?:$|ing) AY
B{y}(?:$|ing|'s) AY
if{y}(?:$|ing) AY
{y}C(?:e|es|ed|er|l)s?$ AY
{yr}(?=e) AY R
V\w*C{y}(?:$|'s$) IY0
{y}$ IY0
B{y}(?:p|d|b|g) AY
{y} IH
m{b}(?:$|s$|ed$|ing$) .
{b}(?:t$|ts$|t(?:ed|ful|or)) .
{bb} B
{b} B
s{ch}(?:o|e) K
{ch}(?:r|l|em|ara|aos|ord|or|ni|no|it) K
V{ch}an K
ar{ch}i K
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
{d}u(?:al|ca|at|le) JH
{d} D
{ff} F
{f} F
^{gh} G
{gh} .
{gg} G
^{g}n .
{g}n(?:$|s$|ed|ing|er|ment) .
^{g}(?:e(?:t|ar|e)|i(?:r|f|v|l|gg)) G
(?:be|for){g}i G
(?:to|for|ti|tar|fin|lon|stron|youn|hun|ea|fo){g}e(?:t|th|r|st) G
{ge}(?:$|a|o) JH
{g}(?=F) JH
{g} G
^{h}(?:our|onest|onou?r|eir) .
^r{h} .
x{h} .
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
(?:ch|r)a{n}gi N
{n}ge N
{ng}(?:$|s$|ed$|ing|ings$|th|ster|'s$|ly|ful|b|s) NG
^(?:i|e|u|co){n}c N
{n}(?=[gkqx]|c[^eiyh]|ch?o) NG
m{n}(?:$|s$) .
[sd]{n't}$ AH0 N T
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
{ssue} SH UW0
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
(?:ou|loo|goo|moo){s}es?$ S
[^e]a{s}(?:ic|e(?:$|s$|d$|m)) S
(?:ea|ee|oi|oo|ai|i|o|au|u){s}(?:e|es|ed|ing|er)$ Z
V{s}V Z
n{s}$ Z
[bdglmrvw]{s}$ Z
[ptkf]'{s}$ S
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
^{th}(?:e$|at$|an$|en$|is$|ese$|ose$|ere|ey|em$|eir|us$|ough) DH
V\w*{th}(?:er(?!m)|e$|es$|ed$|ing$|y$) DH
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
V{'ll}$ L
{'ll}$ AH0 L
{'re}$ R
{'ve}$ V
{'} .
"""
