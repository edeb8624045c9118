#!/bin/bash
# Detection on camera raw files: RED with its released weights on synthetic raw files made from photos.
#
#     scripts/detect_raw.sh PHOTOS DETECTOR.onnx OUTPUT [RATIO] [DESCRIPTION]
#
# RATIO: long over short exposure, by default 100. DESCRIPTION: of the detector (docs/detection.md), by default nanodet.
# The raw files are not SID's: OUTPUT/raw/SYNTHETIC says how they were made. OUTPUT/detection/index.html is the page.
set -euo pipefail

photos=$1 detector=$2 out=$3 ratio=${4:-100} description=${5:-nanodet}
python -m input_pipeline.synthesize_sid "$photos" --output "$out/raw" --split test --ratios "$ratio" --iso 800
python eval.py --config red_sid_sony --output "$out/evaluation" --config.data.root="$out/raw" \
  --config.eval.baselines="('red',)" --config.eval.images=all --config.eval.protocols="('psnr_rgb',)"
python -m ultrabm_jax.detection --detector "$detector" --description "$description" --evaluation "$out/evaluation" \
  --output "$out/detection"
