"""Phones of English words that their spelling does not tell, in ARPAbet, with the stress where it has to be said."""

LISTED = """
a AH0 | about AH0 B AW1 T | advice AH0 D V AY1 S | again AH0 G EH1 N | against AH0 G EH1 N S T | allow AH0 L AW1
almost AO1 L M OW0 S T | also AO1 L S OW0 | although AO0 L DH OW1 | always AO1 L W EY0 Z
america AH0 M EH1 R IH0 K AH0 | american AH0 M EH1 R IH0 K AH0 N | ancient EY1 N SH AH0 N T | and AE N D
anger AE1 NG G ER0 | another AH0 N AH1 DH ER0 | answer AE1 N S ER0 | any EH1 N IY0 | anybody EH1 N IY0 B AA0 D IY0
anything EH1 N IY0 TH IH0 NG | apple AE1 P AH0 L | april EY1 P R AH0 L | are AA R | area EH1 R IY0 AH0
aren't AA R N T | around ER0 AW1 N D | as AE Z | audio AO1 D IY0 OW0 | august AO1 G AH0 S T | aunt AE N T
available AH0 V EY1 L AH0 B AH0 L | away AH0 W EY1 | ball B AO L | banana B AH0 N AE1 N AH0 | bar B AA R
bargain B AA1 R G AH0 N | bear B EH R | beautiful B Y UW1 T AH0 F AH0 L | beauty B Y UW1 T IY0 | because B IH0 K AO1 Z
become B IH0 K AH1 M | been B IH N | begin B IH0 G IH1 N | being B IY1 IH0 NG | belong B IH0 L AO1 NG
beyond B IH0 AA1 N D | bicycle B AY1 S IH0 K AH0 L | billion B IH1 L Y AH0 N | blood B L AH D | body B AA1 D IY0
bomb B AA M | both B OW TH | bough B AW | bow B AW | bread B R EH D | break B R EY K | brother B R AH1 DH ER0
build B IH L D | built B IH L T | bury B EH1 R IY0 | bus B AH S | business B IH1 Z N AH0 S | busy B IH1 Z IY0
buy B AY | calf K AE F | camera K AE1 M R AH0 | captain K AE1 P T AH0 N | car K AA R | certain S ER1 T AH0 N
character K EH1 R IH0 K T ER0 | chef SH EH F | child CH AY L D | children CH IH1 L D R AH0 N | china CH AY1 N AH0
chocolate CH AO1 K L AH0 T | choice CH OY S | choir K W AY1 ER0 | cities S IH1 T IY0 Z | climb K L AY M
colonel K ER1 N AH0 L | color K AH1 L ER0 | colour K AH1 L ER0 | comb K OW M | come K AH M
comfortable K AH1 M F T ER0 B AH0 L | command K AH0 M AE1 N D | computer K AH0 M P Y UW1 T ER0
control K AH0 N T R OW1 L | copy K AA1 P IY0 | correct K ER0 EH1 K T | cough K AO F | could K UH D
country K AH1 N T R IY0 | cow K AW | create K R IY0 EY1 T | curtain K ER1 T AH0 N | danger D EY1 N JH ER0
daughter D AO1 T ER0 | debt D EH T | december D IH0 S EH1 M B ER0 | deny D IH0 N AY1 | device D IH0 V AY1 S
different D IH1 F R AH0 N T | do D UW | doctor D AA1 K T ER0 | does D AH Z | doesn't D AH1 Z AH0 N T
doing D UW1 IH0 NG | dollars D AA1 L ER0 Z | don't D OW N T | done D AH N | door D AO R | doubt D AW T | dough D OW
during D UH1 R IH0 NG | early ER1 L IY0 | easily IY1 Z AH0 L IY0 | eight EY T | eleven IH0 L EH1 V AH0 N | else EH L S
engine EH1 N JH AH0 N | english IH1 NG G L IH0 SH | enough IH0 N AH1 F | etcetera EH0 T S EH1 T ER0 AH0
euro Y UH1 R OW0 | europe Y UH1 R AH0 P | euros Y UH1 R OW0 Z | even IY1 V AH0 N | evening IY1 V N IH0 NG
event IH0 V EH1 N T | ever EH1 V ER0 | every EH1 V R IY0 | everybody EH1 V R IY0 B AA0 D IY0
everyone EH1 V R IY0 W AH0 N | everything EH1 V R IY0 TH IH0 NG | eye AY | eyes AY Z | family F AE1 M L IY0
famous F EY1 M AH0 S | far F AA R | father F AA1 DH ER0 | favorite F EY1 V R AH0 T | favourite F EY1 V R AH0 T
february F EH1 B Y AH0 W EH0 R IY0 | fifteen F IH0 F T IY1 N | fifteenth F IH0 F T IY1 N TH | fifth F IH F TH
finger F IH1 NG G ER0 | first F ER S T | flood F L AH D | floor F L AO R | flower F L AW1 ER0 | food F UW D
foot F UH T | forget F ER0 G EH1 T | forgive F ER0 G IH1 V | forty F AO1 R T IY0 | fountain F AW1 N T AH0 N
four F AO R | france F R AE N S | friday F R AY1 D EY0 | friend F R EH N D | friends F R EH N D Z | from F R AH M
front F R AH N T | full F UH L | future F Y UW1 CH ER0 | gas G AE S | german JH ER1 M AH0 N
germany JH ER1 M AH0 N IY0 | get G EH T | ghost G OW S T | gift G IH F T | girl G ER L | give G IH V | gone G AO N
goodbye G UH0 D B AY1 | great G R EY T | grey G R EY | group G R UW P | grown G R OW N | guitar G IH0 T AA1 R
guy G AY | half HH AE F | has HH AE Z | hasn't HH AE1 Z AH0 N T | have HH AE V | haven't HH AE1 V AH0 N T
header HH EH1 D ER0 | heard HH ER D | heart HH AA R T | height HH AY T | heir EH R | hello HH AH0 L OW1
herself HH ER0 S EH1 L F | hey HH EY | hi HH AY | himself HH IH0 M S EH1 L F | his HH IH Z | honest AA1 N AH0 S T
honor AA1 N ER0 | honour AA1 N ER0 | horse HH AO R S | host HH OW S T | hotel HH OW0 T EH1 L | hour AW1 ER0
hours AW1 ER0 Z | house HH AW S | houses HH AW1 Z IH0 Z | how HH AW | however HH AW0 EH1 V ER0
hundred HH AH1 N D R AH0 D | hunger HH AH1 NG G ER0 | i AY | idea AY0 D IY1 AH0 | interest IH1 N T R AH0 S T
interesting IH1 N T R AH0 S T IH0 NG | into IH1 N T UW0 | iron AY1 ER0 N | is IH Z | island AY1 L AH0 N D
isn't IH1 Z AH0 N T | itself IH0 T S EH1 L F | january JH AE1 N Y UW0 EH0 R IY0 | japan JH AH0 P AE1 N | jar JH AA R
july JH UH0 L AY1 | june JH UW N | key K IY | kilometers K AH0 L AA1 M AH0 T ER0 Z | knowledge N AA1 L IH0 JH
known N OW N | language L AE1 NG G W IH0 JH | laugh L AE F | laughed L AE F T | laughter L AE1 F T ER0
lawyer L AO1 Y ER0 | lead L IY D | leader L IY1 D ER0 | libraries L AY1 B R EH0 R IY0 Z | library L AY1 B R EH0 R IY0
listen L IH1 S AH0 N | live L IH V | lived L IH V D | living L IH1 V IH0 NG | london L AH1 N D AH0 N
longer L AO1 NG G ER0 | lose L UW Z | love L AH V | machine M AH0 SH IY1 N | many M EH1 N IY0 | march M AA R CH
maybe M EY1 B IY0 | million M IH1 L Y AH0 N | mind M AY N D | minute M IH1 N AH0 T | minutes M IH1 N AH0 T S
missus M IH1 S IH0 Z | mister M IH1 S T ER0 | model M AA1 D AH0 L | moment M OW1 M AH0 N T | monday M AH1 N D EY0
money M AH1 N IY0 | month M AH N TH | months M AH N TH S | mood M UW D | most M OW S T | mother M AH1 DH ER0
mountain M AW1 N T AH0 N | move M UW V | mr M IH1 S T ER0 | ms M IH Z | museum M Y UW0 Z IY1 AH0 M
myself M AY0 S EH1 L F | nasa N AE1 S AH0 | never N EH1 V ER0 | news N UW Z | ninth N AY N TH
nobody N OW1 B AA0 D IY0 | none N AH N | nothing N AH1 TH IH0 NG | november N OW0 V EH1 M B ER0 | now N AW
nurse N ER S | o'clock AH0 K L AA1 K | obey OW0 B EY1 | ocean OW1 SH AH0 N | october AA0 K T OW1 B ER0 | of AH V
office AO1 F AH0 S | often AO1 F AH0 N | oh OW | ok OW0 K EY1 | okay OW0 K EY1 | once W AH N S | one W AH N
only OW1 N L IY0 | orange AO1 R IH0 N JH | original ER0 IH1 JH AH0 N AH0 L | other AH1 DH ER0 | our AW ER0
ourselves AA0 R S EH1 L V Z | over OW1 V ER0 | own OW N | paper P EY1 P ER0 | parent P EH1 R AH0 N T
parents P EH1 R AH0 N T S | paris P EH1 R IH0 S | pear P EH R | people P IY1 P AH0 L | percent P ER0 S EH1 N T
perfect P ER1 F IH0 K T | perhaps P ER0 HH AE1 P S | person P ER1 S AH0 N | photo F OW1 T OW0 | piano P IY0 AE1 N OW0
picture P IH1 K CH ER0 | please P L IY Z | poem P OW1 AH0 M | police P AH0 L IY1 S | poor P UH R | post P OW S T
potato P AH0 T EY1 T OW0 | prior P R AY1 ER0 | private P R AY1 V AH0 T | professor P R AH0 F EH1 S ER0
promise P R AA1 M AH0 S | prove P R UW V | pull P UH L | purpose P ER1 P AH0 S | push P UH SH | put P UH T
queue K Y UW | quiet K W AY1 AH0 T | read R IY D | reader R IY1 D ER0 | real R IY L | really R IY1 L IY0
receipt R IH0 S IY1 T | recipe R EH1 S AH0 P IY0 | rely R IH0 L AY1 | research R IY1 S ER0 CH
restaurant R EH1 S T ER0 AA0 N T | result R IH0 Z AH1 L T | route R UW T | said S EH D | saturday S AE1 T ER0 D EY0
says S EH Z | schedule S K EH1 JH UH0 L | school S K UW L | science S AY1 AH0 N S | second S EH1 K AH0 N D
seeing S IY1 IH0 NG | sentence S EH1 N T AH0 N S | separate S EH1 P R AH0 T | september S EH0 P T EH1 M B ER0
seven S EH1 V AH0 N | shall SH AE L | shoe SH UW | shoes SH UW Z | should SH UH D | shoulder SH OW1 L D ER0
shown SH OW N | sixth S IH K S TH | social S OW1 SH AH0 L | some S AH M | somebody S AH1 M B AA0 D IY0
someone S AH1 M W AH0 N | something S AH1 M TH IH0 NG | sometimes S AH1 M T AY0 M Z | son S AH N | soon S UW N
soul S OW L | soup S UW P | southern S AH1 DH ER0 N | special S P EH1 SH AH0 L | star S T AA R | steak S T EY K
stomach S T AH1 M AH0 K | study S T AH1 D IY0 | sugar SH UH1 G ER0 | sunday S AH1 N D EY0 | sure SH UH R
surface S ER1 F AH0 S | sword S AO R D | talk T AO K | tear T EH R | that's DH AE T S | the DH AH0
theater TH IY1 AH0 T ER0 | theatre TH IY1 AH0 T ER0 | their DH EH R | themselves DH EH0 M S EH1 L V Z
theory TH IH1 R IY0 | there DH EH R | these DH IY Z | they DH EY | they're DH EH R | third TH ER D
thirteen TH ER0 T IY1 N | this DH IH S | those DH OW Z | though DH OW | thought TH AO T | thousand TH AW1 Z AH0 N D
through TH R UW | thursday TH ER1 Z D EY0 | thus DH AH S | tiger T AY1 G ER0 | tiny T AY1 N IY0 | to T UW
today T AH0 D EY1 | together T AH0 G EH1 DH ER0 | tomato T AH0 M EY1 T OW0 | tomb T UW M | tomorrow T AH0 M AA1 R OW0
ton T AH N | tonight T AH0 N AY1 T | touch T AH CH | toward T AH0 W AO1 R D | trillion T R IH1 L Y AH0 N
tuesday T UW1 Z D EY0 | twelve T W EH L V | two T UW | unless AH0 N L EH1 S | until AH0 N T IH1 L | upon AH0 P AA1 N
upstairs AH0 P S T EH1 R Z | us AH S | use Y UW Z | used Y UW Z D | usually Y UW1 ZH AH0 L IY0
vegetable V EH1 JH T AH0 B AH0 L | versus V ER1 S AH0 S | very V EH1 R IY0 | video V IH1 D IY0 OW0 | voice V OY S
war W AO R | was W AA Z | wasn't W AA1 Z AH0 N T | water W AO1 T ER0 | wear W EH R | wednesday W EH1 N Z D EY0
weight W EY T | were W ER | weren't W ER N T | what W AH T | whatever W AH0 T EH1 V ER0 | where W EH R | who HH UW
whole HH OW L | whom HH UW M | whose HH UW Z | wind W IH N D | within W IH0 TH IH1 N | without W IH0 TH AW1 T
wolf W UH L F | woman W UH1 M AH0 N | womb W UW M | women W IH1 M AH0 N | won W AH N | won't W OW N T
wonder W AH1 N D ER0 | world W ER L D | would W UH D | wow W AW | yes Y EH S | you Y UW | you're Y AO R
young Y AH NG | younger Y AH1 NG G ER0 | your Y AO R | yourself Y ER0 S EH1 L F | youth Y UW TH | zero Z IH1 R OW0
"""

# Words that are said weakly: their vowels have no stress.
WEAK = """
a an and are as at be been but by can could did do does for from had has have he her him his i if in is it its me my of
on or our shall she should so some than that the their them then there these they this to us was we were will with would
you your
"""

# The names of letters.
LETTERS = """
A EY | B B IY | C S IY | D D IY | E IY | F EH F | G JH IY | H EY CH | I AY | J JH EY | K K EY | L EH L | M EH M
N EH N | O OW | P P IY | Q K Y UW | R AA R | S EH S | T T IY | U Y UW | V V IY | W D AH1 B AH0 L Y UW0 | X EH K S
Y W AY | Z Z IY
"""
