"""Faces in pictures: found, tracked, cropped and pasted back, without JAX.

A frame passes through these modules in this order:

  detect         finds the faces of one picture; `tilt` has it look again at heads that are not upright
  shots          finds the cuts of a video
  scan           reads a video once, and looks for faces and cuts in it
  tracks         joins the faces of frames into people
  segments       selects what networks can use: one person in one shot, at 25 frames a second, with the sound
  cropping       resamples a face to the crop that networks see, and pastes the generated face back

`boxes` (overlap, prominence, smoothing) and `rotated_boxes` (tilted heads) are the geometry of all of them. Crops of
one person are compared by:

  mouth          measures how far the mouth is open
  pose           finds how the head has moved from one crop to another
  references     chooses a mouth at rest, and brings it to the pose of each frame
  warping        moves the pixels of a reference as a warping generator says
"""
