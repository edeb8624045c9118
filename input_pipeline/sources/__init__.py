"""Data sets as numbered examples (`PairSource`): from image files, records or camera raw files, whole or cropped."""
