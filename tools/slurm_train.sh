#!/usr/bin/env bash
# Trains under slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [options of tools/train.py]
# GPUS in all (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS come from the environment; so does GRES, what to ask
# for on each node (gpu:8), which may name a kind of GPU, gpu:a100:8, or be none for processes on CPUs.
set -euo pipefail
if [ "$#" -lt 4 ]; then
    sed -n '2,4p' "$0" >&2
    exit 2
fi
. "$(dirname "$0")/slurm.sh"
submit "$1" "$2" train.py "$3" --work-dir "$4" "${@:5}"
