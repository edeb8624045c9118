"""Pretrained feature extractors: VGG-16 and VGG-19, AlexNet, HRNetV2; their importers and weights."""
