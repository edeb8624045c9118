#!/bin/bash
# Trains on several hosts of a SLURM cluster; run the same command again to resume from the last checkpoint.
#
#     sbatch --nodes=2 scripts/slurm.sh --config configs/ultrabm_rellisur_x2.py --workdir /shared/run \
#         --config.data.root=/shared/RELLISUR --config.data.batch_size=128
#
# One process per GPU, as JAX expects under SLURM. The workdir must be on a file system shared by all hosts.
#SBATCH --job-name=ultrabm
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.log
#SBATCH --requeue
#SBATCH --signal=TERM@120
# SIGTERM arrives two minutes before the time limit or on preemption: the run saves a checkpoint and exits with status 0.

set -euo pipefail
cd "${ULTRABM_ROOT:-$SLURM_SUBMIT_DIR}"
source .venv/bin/activate

# A finished run exits at once when it is started again, so requeueing needs no bookkeeping.
srun --kill-on-bad-exit=1 python train.py "$@" --config.distributed.coordinator=auto
