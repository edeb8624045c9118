#!/bin/bash
# Makes docs/images/before_after.jpg: photos in scikit-image's wheel with simulated darkness, restored by the default model.
#
#     scripts/before_after.sh OUTPUT_FOLDER
#
# None of the photos was used to train the model; the astronaut, chelsea, coffee, rocket and camera photos, with other
# darkness, were among the images that chose its checkpoint. The first four are shown at two exposures.
set -euo pipefail

out=$1
photos=$(python -c "import importlib.util as u, os; print(os.path.join(os.path.dirname(u.find_spec('skimage').origin), 'data'))")
for ev in -2.5 -4; do
  for name in astronaut.png chelsea.png coffee.png rocket.jpg; do
    python -m input_pipeline.darken "$photos/$name" --ev "$ev" --scale 1 --seed 1 --output "$out/dark/ev$ev"
  done
done
for name in camera.png coins.png grass.png moon.png; do
  python -m input_pipeline.darken "$photos/$name" --ev -3 --scale 1 --seed 1 --output "$out/dark/ev-3"
done
python restore.py "$out/dark" --output "$out/restored" --overwrite
python -m ultrabm_jax.tools.before_after dark="$out/dark" restored="$out/restored" --columns 4 --height 150 --square \
  --output "$out/before_after.jpg"
