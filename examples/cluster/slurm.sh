#!/bin/bash
# Two machines, one process each, train one configuration together.
#
#     sbatch examples/cluster/slurm.sh config.toml /shared/runs/first
#
# The run folder must be one that every machine can read. After a machine is lost, the same
# command goes on from the last finished epoch.
#SBATCH --job-name=coloss
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -eu
config=$1 run=$2
resume=
if ls "$run"/resume/step-* > /dev/null 2>&1; then resume=--resume; fi
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=${hosts%%[[:space:]]*}
export KERAS_BACKEND=jax
export KERAS_DISTRIBUTION_JOB_ADDRESSES=$first:${COLOSS_PORT:-29400}
export KERAS_DISTRIBUTION_NUM_PROCESSES=$SLURM_NTASKS
# Each task reads its own place.
srun --kill-on-bad-exit=1 bash -c \
    'KERAS_DISTRIBUTION_PROCESS_ID=$SLURM_PROCID exec coloss train "$@"' \
    coloss "$config" --output "$run" $resume
