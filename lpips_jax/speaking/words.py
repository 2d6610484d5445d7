"""Phones of English words that their spelling does not tell, in ARPAbet, with the stress where it has to be said."""

LISTED = """
a AH0 | about AH0 B AW1 T | again AH0 G EH1 N | against AH0 G EH1 N S T | allow AH0 L AW1 | almost AO1 L M OW0 S T
also AO1 L S OW0 | although AO0 L DH OW1 | always AO1 L W EY0 Z | and AE N D | anger AE1 NG G ER0
another AH0 N AH1 DH ER0 | answer AE1 N S ER0 | any EH1 N IY0 | anything EH1 N IY0 TH IH0 NG | april EY1 P R AH0 L
are AA R | area EH1 R IY0 AH0 | as AE Z | audio AO1 D IY0 OW0 | august AO1 G AH0 S T | aunt AE N T | away AH0 W EY1
ball B AO L | bar B AA R | bargain B AA1 R G AH0 N | bear B EH R | beautiful B Y UW1 T AH0 F AH0 L
beauty B Y UW1 T IY0 | because B IH0 K AO1 Z | been B IH N | begin B IH0 G IH1 N | being B IY1 IH0 NG
billion B IH1 L Y AH0 N | blood B L AH D | bomb B AA M | both B OW TH | bough B AW | bow B AW | bread B R EH D
break B R EY K | brother B R AH1 DH ER0 | build B IH L D | built B IH L T | bury B EH1 R IY0 | bus B AH S
business B IH1 Z N AH0 S | busy B IH1 Z IY0 | buy B AY | calf K AE F | captain K AE1 P T AH0 N | car K AA R
certain S ER1 T AH0 N | character K EH1 R IH0 K T ER0 | chef SH EH F | child CH AY L D | children CH IH1 L D R AH0 N
choice CH OY S | choir K W AY1 ER0 | climb K L AY M | colonel K ER1 N AH0 L | color K AH1 L ER0 | colour K AH1 L ER0
comb K OW M | come K AH M | computer K AH0 M P Y UW1 T ER0 | cough K AO F | could K UH D | country K AH1 N T R IY0
cow K AW | create K R IY0 EY1 T | curtain K ER1 T AH0 N | daughter D AO1 T ER0 | debt D EH T | do D UW
doctor D AA1 K T ER0 | does D AH Z | doing D UW1 IH0 NG | don't D OW N T | done D AH N | door D AO R | doubt D AW T
dough D OW | eight EY T | eleven IH0 L EH1 V AH0 N | english IH1 NG G L IH0 SH | enough IH0 N AH1 F
etcetera EH0 T S EH1 T ER0 AH0 | euro Y UH1 R OW0 | europe Y UH1 R AH0 P | even IY1 V AH0 N | ever EH1 V ER0
every EH1 V R IY0 | everyone EH1 V R IY0 W AH0 N | everything EH1 V R IY0 TH IH0 NG | eye AY | eyes AY Z | far F AA R
father F AA1 DH ER0 | february F EH1 B Y AH0 W EH0 R IY0 | finger F IH1 NG G ER0 | flood F L AH D | floor F L AO R
flower F L AW1 ER0 | food F UW D | foot F UH T | forget F ER0 G EH1 T | forgive F ER0 G IH1 V
fountain F AW1 N T AH0 N | four F AO R | friend F R EH N D | friends F R EH N D Z | from F R AH M | front F R AH N T
full F UH L | gas G AE S | get G EH T | ghost G OW S T | gift G IH F T | girl G ER L | give G IH V | gone G AO N
goodbye G UH0 D B AY1 | great G R EY T | group G R UW P | grown G R OW N | guy G AY | half HH AE F | has HH AE Z
have HH AE V | heard HH ER D | heart HH AA R T | height HH AY T | heir EH R | hello HH AH0 L OW1 | his HH IH Z
honest AA1 N AH0 S T | honor AA1 N ER0 | honour AA1 N ER0 | host HH OW S T | hour AW1 ER0 | hours AW1 ER0 Z
house HH AW S | houses HH AW1 Z IH0 Z | how HH AW | hundred HH AH1 N D R AH0 D | hunger HH AH1 NG G ER0 | i AY
idea AY0 D IY1 AH0 | into IH1 N T UW0 | iron AY1 ER0 N | is IH Z | island AY1 L AH0 N D | jar JH AA R
july JH UH0 L AY1 | known N OW N | language L AE1 NG G W IH0 JH | laugh L AE F | laughed L AE F T
laughter L AE1 F T ER0 | lead L IY D | leader L IY1 D ER0 | listen L IH1 S AH0 N | live L IH V | lived L IH V D
living L IH1 V IH0 NG | longer L AO1 NG G ER0 | lose L UW Z | love L AH V | machine M AH0 SH IY1 N | many M EH1 N IY0
million M IH1 L Y AH0 N | mind M AY N D | minute M IH1 N AH0 T | minutes M IH1 N AH0 T S | missus M IH1 S IH0 Z
mister M IH1 S T ER0 | money M AH1 N IY0 | month M AH N TH | months M AH N TH S | mood M UW D | most M OW S T
mother M AH1 DH ER0 | mountain M AW1 N T AH0 N | move M UW V | mr M IH1 S T ER0 | ms M IH Z | never N EH1 V ER0
ninth N AY N TH | none N AH N | nothing N AH1 TH IH0 NG | november N OW0 V EH1 M B ER0 | now N AW
o'clock AH0 K L AA1 K | ocean OW1 SH AH0 N | of AH V | often AO1 F AH0 N | oh OW | ok OW0 K EY1 | okay OW0 K EY1
once W AH N S | one W AH N | only OW1 N L IY0 | other AH1 DH ER0 | our AW ER0 | over OW1 V ER0 | own OW N
pear P EH R | people P IY1 P AH0 L | percent P ER0 S EH1 N T | picture P IH1 K CH ER0 | please P L IY Z
poem P OW1 AH0 M | police P AH0 L IY1 S | poor P UH R | post P OW S T | professor P R AH0 F EH1 S ER0 | prove P R UW V
pull P UH L | push P UH SH | put P UH T | queue K Y UW | quiet K W AY1 AH0 T | read R IY D | real R IY L
really R IY1 L IY0 | receipt R IH0 S IY1 T | route R UW T | said S EH D | says S EH Z | schedule S K EH1 JH UH0 L
school S K UW L | science S AY1 AH0 N S | second S EH1 K AH0 N D | seeing S IY1 IH0 NG | sentence S EH1 N T AH0 N S
seven S EH1 V AH0 N | shoe SH UW | shoes SH UW Z | should SH UH D | shoulder SH OW1 L D ER0 | shown SH OW N
social S OW1 SH AH0 L | some S AH M | someone S AH1 M W AH0 N | something S AH1 M TH IH0 NG
sometimes S AH1 M T AY0 M Z | son S AH N | soon S UW N | soul S OW L | soup S UW P | southern S AH1 DH ER0 N
special S P EH1 SH AH0 L | star S T AA R | steak S T EY K | stomach S T AH1 M AH0 K | sugar SH UH1 G ER0
sure SH UH R | sword S AO R D | talk T AO K | tear T EH R | the DH AH0 | theater TH IY1 AH0 T ER0
theatre TH IY1 AH0 T ER0 | their DH EH R | there DH EH R | these DH IY Z | they DH EY | they're DH EH R
thirteen TH ER0 T IY1 N | this DH IH S | those DH OW Z | though DH OW | thought TH AO T | through TH R UW
thus DH AH S | tiger T AY1 G ER0 | to T UW | today T AH0 D EY1 | together T AH0 G EH1 DH ER0 | tomb T UW M
tomorrow T AH0 M AA1 R OW0 | ton T AH N | tonight T AH0 N AY1 T | touch T AH CH | toward T AH0 W AO1 R D
tuesday T UW1 Z D EY0 | twelve T W EH L V | two T UW | us AH S | use Y UW Z | used Y UW Z D | versus V ER1 S AH0 S
very V EH1 R IY0 | video V IH1 D IY0 OW0 | voice V OY S | war W AO R | was W AA Z | water W AO1 T ER0 | wear W EH R
wednesday W EH1 N Z D EY0 | weight W EY T | were W ER | what W AH T | where W EH R | who HH UW | whole HH OW L
whom HH UW M | whose HH UW Z | wind W IH N D | wolf W UH L F | woman W UH1 M AH0 N | womb W UW M | women W IH1 M AH0 N
won W AH N | won't W OW N T | world W ER L D | would W UH D | wow W AW | yes Y EH S | you Y UW | you're Y AO R
young Y AH NG | younger Y AH1 NG G ER0 | your Y AO R | youth Y UW TH | zero Z IH1 R OW0
"""
