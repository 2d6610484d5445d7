"""Identity leakage: what lips take from the picture that a network was shown, in place of the speech.

After Yaman et al. (arXiv 2511.08613), whatever the network: each clip is made from silence, from its own speech
(matched) and from somebody else's (mismatched), with one way to choose the reference frame, of which the current one
(CR: the very frame that is edited) leaks most, and another frame (AR) less.

- LSE-C_s, LSE-D_s: `metrics.sync.SyncScores.confidence` and `.distance`, means over clips, between the video made from
  silence and *the clip's own sound*, which the network has not heard: lips can only fit it by way of the reference.
  So the confidence (>= 0) should be low, and the distance (>= 0) high.
- LSD-CR, LSD-AR: `discrepancy`, by what reference the video was made.

The paper's text was not at hand: the definitions follow from its names and magnitudes. `open_share` and
`rest_deviation` ask of the same silent video whether the mouth rests, without any judge of sync.
"""

import numpy as np

AT_REST = 30  # percentile of the filmed openings, up to which a mouth is shut: in a quarter of the time nobody speaks
MARGIN = 0.1  # of the range of the filmed openings, beyond which it is open


def discrepancy(matched: np.ndarray, mismatched: np.ndarray) -> float:
  """Returns LSD = |mean LSE-C(matched) - mean LSE-C(mismatched)| (Yaman et al., arXiv 2511.08613).

  Each video is judged by the sound that it was made from. Lips that follow speech alone fit their own as well as
  another's; lips that copy the reference fit that speech better which was spoken when the reference was filmed.

  Args:
    matched: (n,) confidences, or distances, of clips made from their own speech.
    mismatched: (n,) of the same clips, made from others' speech.

  Returns:
    On the scale of the scores, >= 0; 0 without leakage. 0, too, for a mouth that never moves: read it beside them.

  Raises:
    ValueError: there are no clips, or not as many of both.
  """
  matched, mismatched = np.asarray(matched, np.float64), np.asarray(mismatched, np.float64)
  if matched.shape != mismatched.shape or not matched.size:
    raise ValueError(f'expected scores of the same clips, at least one, not {matched.shape} and {mismatched.shape}')
  return float(abs(np.mean(matched - mismatched)))


def open_share(opening: np.ndarray, speaking: np.ndarray) -> float:
  """Returns the share of frames made from silence whose mouth is open: LipLeak of KeySync (arXiv 2505.00497).

  Open is what exceeds the 30th percentile of the openings in the clip as filmed by a tenth of their range; that
  threshold is ours.

  Args:
    opening: (t,) openings in frames made from silence.
    speaking: (s,) openings of the clip as it was filmed, on the same scale (`mouth_opening(frames, beside)`).

  Returns:
    In [0, 1]; 0 for a mouth that rests.
  """
  threshold = np.percentile(speaking, AT_REST) + MARGIN * np.ptp(speaking)
  return float(np.mean(np.asarray(opening) > threshold))


def rest_deviation(opening: np.ndarray) -> float:
  """Returns how much lips move in silence: the median absolute deviation of THEval (arXiv 2511.04520).

  Args:
    opening: (t,) openings in frames made from silence.

  Returns:
    median |x - median x| >= 0, on the scale of the openings; 0 for a mouth that is still, shut or not.
  """
  opening = np.asarray(opening, np.float64)
  return float(np.median(np.abs(opening - np.median(opening))))
