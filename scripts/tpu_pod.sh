#!/bin/bash
# Trains on all hosts of an existing Cloud TPU slice.
#
#     TPU=NAME ZONE=ZONE scripts/tpu_pod.sh --config configs/ultrabm_rellisur_x2.py --workdir /mnt/share/run ...
#
# Needs the repository in ~/ultrabm_jax on every host, and data and workdir on a shared file system, such as Filestore
# (docs/scaling.md).
set -euo pipefail

gcloud compute tpus tpu-vm ssh "$TPU" --zone="$ZONE" --worker=all --command="
  cd ~/ultrabm_jax && . .venv/bin/activate &&
  python train.py $(printf '%q ' "$@") --config.distributed.coordinator=auto"
