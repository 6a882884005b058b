#!/usr/bin/env bash
# Tests under slurm: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of tools/test.py]
# GPUS in all (8), GPUS_PER_NODE (8), CPUS_PER_TASK (5) and SRUN_ARGS come from the environment; so does GRES, what to ask
# for on each node (gpu:8), which may name a kind of GPU, gpu:a100:8, or be none for processes on CPUs.
set -euo pipefail
if [ "$#" -lt 4 ]; then
    sed -n '2,4p' "$0" >&2
    exit 2
fi
. "$(dirname "$0")/slurm.sh"
submit "$1" "$2" test.py "$3" "$4" "${@:5}"
