# Read by slurm_train.sh and slurm_test.sh; does nothing by itself.

# submit PARTITION JOB_NAME TOOL ARGUMENTS: one task per GPU, or per process on CPUs.
submit() {
    local tools partition=$1 job=$2 tool=$3
    local gpus=${GPUS:-8}
    local per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    shift 3
    export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    # SRUN_ARGS is a list of words on purpose.
    # shellcheck disable=SC2086
    exec srun \
        --partition="$partition" \
        --job-name="$job" \
        --gres="${GRES:-gpu:$per_node}" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$tools/$tool" "$@" --launcher slurm
}
