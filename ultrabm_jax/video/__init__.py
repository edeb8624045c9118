"""Videos, in and out: `ultrabm-jax restore clip.mp4`.

source.py      the frames of a file (PyAV) or of a folder, in order, with their times
steady.py      statistics of the network that the frames of a clip share, so that brightness does not flicker
parts.py       encoded parts of the output, which an interrupted run leaves for the next one, and joining them
clip.py        restores one clip
"""

CODECS = ("h264", "h265", "av1", "ffv1")  # of outputs
STEADY = ("clip", "smooth", "off")  # which statistics the frames of a clip share (steady.py)
