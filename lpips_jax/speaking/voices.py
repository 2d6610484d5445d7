"""The choice of a voice by its name."""

from lpips_jax.core.errors import UserError
from lpips_jax.speaking.text import cleaned
from lpips_jax.speaking.utterance import Utterance

BUILTIN, ESPEAK, PIPER_ENDING = 'builtin', 'espeak', '.onnx'


def say(text: str, voice: str = BUILTIN, language: str | None = None) -> Utterance:
  """Says a text. The same text, voice and language always give the same samples.

  Args:
    text: plain text; markup is said as text. At most `text.MAX_CHARACTERS`.
    voice: `builtin`, a simple synthesiser of English that needs nothing; `espeak` or `espeak:VARIANT`, espeak-ng's, for
      some hundred languages (extra `text`); or the path of a voice file of piper, `….onnx`, beside which lies its
      `….onnx.json` (extra `piper`).
    language: such as en-us, de or cmn; by default English, or the one of the voice file.

  Raises:
    UserError: there is nothing to say, or too much; there is no such voice, it needs a package that is not installed,
      or it does not speak the language.
  """
  if voice == BUILTIN:
    from lpips_jax.speaking import builtin

    return builtin.say(cleaned(text), language)
  name, _, variant = voice.partition(':')
  if name == ESPEAK:
    from lpips_jax.speaking import espeak

    return espeak.say(cleaned(text), variant, language)
  if voice.endswith(PIPER_ENDING):
    from lpips_jax.speaking import piper

    return piper.say(cleaned(text), voice, language)
  raise UserError(f'voice must be builtin, espeak, espeak:VARIANT or a file *.onnx, not {voice!r}', 'voice')
