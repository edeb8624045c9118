#!/bin/bash
# Trains on all hosts of a Cloud TPU slice that exists already.
#
#     TPU=NAME ZONE=ZONE scripts/tpu_pod.sh --config configs/ultrabm_rellisur_x2.py --workdir /mnt/share/run ...
#
# The repository has to lie in ~/ultrabm_jax on every host, data and workdir on a file system that all of them mount, such
# as Filestore (docs/scaling.md).
set -euo pipefail

gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="
  cd ~/ultrabm_jax && . .venv/bin/activate &&
  python train.py $(printf '%q ' "$@") --config.distributed.coordinator=auto"
