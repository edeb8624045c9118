#!/bin/bash
# Trains on several hosts of a SLURM cluster; the same command again goes on from the last checkpoint.
#
#     sbatch --nodes=2 scripts/slurm.sh --config configs/ultrabm_rellisur_x2.py --workdir /shared/run \
#         --config.data.root=/shared/RELLISUR --config.data.batch_size=128
#
# One process for each GPU, as JAX does under SLURM. The workdir must be on a file system that all hosts see.
#SBATCH --job-name=ultrabm
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --requeue
#SBATCH --signal=TERM@120
# SIGTERM comes two minutes before the end, or at once when the machines are taken back: the run saves and ends with 0.

set -euo pipefail
cd "${ULTRABM_ROOT:-$SLURM_SUBMIT_DIR}"
source .venv/bin/activate

# A finished run starts, sees that nothing is left to do, and ends: requeueing needs no bookkeeping.
srun --kill-on-bad-exit=1 python train.py "$@" --config.distributed.coordinator=auto
