"""Speech from text, and its subtitles.

`voices.say` cleans a text (`text`) and has a voice say it, which returns an `utterance`: the sound, and a cue with the
time of each word. The voices:

  builtin   English by rules: `reading` has words for numbers (`numerals`) and signs, `pronouncing` gives the phones of
            a word, by `spelling` where it is not listed, `sounds` those of the corpus for each phone, and the
            corpus's synthesiser makes them sound
  espeak    espeak-ng, in a process of its own (`espeak_process`)
  piper     a neural voice from a file

`subtitles` writes what is said as .srt or .vtt.
"""

from lpips_jax.speaking.subtitles import check_subtitles, write_subtitles
from lpips_jax.speaking.text import read_text_file
from lpips_jax.speaking.utterance import Cue, Utterance
from lpips_jax.speaking.voices import say

__all__ = ['Cue', 'Utterance', 'check_subtitles', 'read_text_file', 'say', 'write_subtitles']
