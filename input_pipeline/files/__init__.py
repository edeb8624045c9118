"""Files on disk: folders, the pairs of images in them, the layouts of published data sets, and their defects."""
