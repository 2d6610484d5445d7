"""Identity leakage: lips that follow the reference picture instead of the speech.

After Yaman et al. (arXiv 2511.08613), for any network: each clip is generated from silence, from its own speech
(matched) and from somebody else's (mismatched), with one way to choose the reference frame. The current one (CR: the
very frame that is edited) leaks most, another frame (AR) less.

- LSE-C_s, LSE-D_s: `metrics.sync.SyncScores.confidence` and `.distance`, means over clips, between the video made from
  silence and *the clip's own sound*, which the network has not heard: lips can only fit it by way of the reference.
  So the confidence (>= 0) should be low, and the distance (>= 0) high.
- LSD-CR, LSD-AR: `discrepancy` of videos with either reference.

The paper's text was not at hand: the definitions follow from its names and magnitudes. `open_share` and
`rest_deviation` measure whether the mouth of the same silent video rests, without any expert of sync.
"""

import numpy as np
from jaxtyping import Float

REST_PERCENTILE = 30  # of the filmed openings: up to it a mouth is shut, as a quarter of the time nobody speaks
OPEN_MARGIN = 0.1  # of the range of the filmed openings: beyond it a mouth is open


def discrepancy(matched: Float[np.ndarray, ' n'], mismatched: Float[np.ndarray, ' n']) -> float:
  """Returns LSD = |mean LSE-C(matched) - mean LSE-C(mismatched)| (Yaman et al., arXiv 2511.08613).

  Each video is scored with the sound that it was made from. Lips that follow speech alone fit their own speech as well
  as another's; lips that copy the reference fit the speech better that was spoken when the reference was filmed.

  Args:
    matched: confidences, or distances, of clips made from their own speech.
    mismatched: those of the same clips, made from others' speech.

  Returns:
    On the scale of the scores, >= 0; 0 without leakage. It is 0, too, for a mouth that never moves: read it beside the
    scores.

  Raises:
    ValueError: there are no clips, or not as many of both.
  """
  matched, mismatched = np.asarray(matched, np.float64), np.asarray(mismatched, np.float64)
  if matched.shape != mismatched.shape or not matched.size:
    raise ValueError(f'expected scores of the same clips, at least one, not {matched.shape} and {mismatched.shape}')
  return float(abs(np.mean(matched - mismatched)))


def open_share(opening: Float[np.ndarray, ' t'], speaking: Float[np.ndarray, ' s']) -> float:
  """Returns the share of frames made from silence whose mouth is open: LipLeak of KeySync (arXiv 2505.00497).

  A mouth is open if it exceeds the 30th percentile of the openings in the clip as filmed by a tenth of their range;
  that threshold is ours.

  Args:
    opening: openings in frames made from silence.
    speaking: openings of the clip as it was filmed, on the same scale (`mouth_opening(frames, beside)`).

  Returns:
    In [0, 1]; 0 for a mouth that rests.
  """
  threshold = np.percentile(speaking, REST_PERCENTILE) + OPEN_MARGIN * np.ptp(speaking)
  return float(np.mean(np.asarray(opening) > threshold))


def rest_deviation(opening: Float[np.ndarray, ' t']) -> float:
  """Returns how much lips move in silence: the median absolute deviation of THEval (arXiv 2511.04520).

  Args:
    opening: openings in frames made from silence.

  Returns:
    median |x - median x| >= 0, on the scale of the openings; 0 for a mouth that is still, shut or not.
  """
  opening = np.asarray(opening, np.float64)
  return float(np.median(np.abs(opening - np.median(opening))))
