# Read by dist_train.sh and dist_test.sh; does nothing by itself.

# launch TOOL N ARGUMENTS: the tool's first N arguments, then perhaps a number of processes, then options.
launch() {
    set -euo pipefail
    local tools tool=$1 positional=$2 python=${PYTHON:-python}
    tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    shift 2
    if [ "$#" -lt "$positional" ]; then
        sed -n '2,3p' "$0" >&2
        exit 2
    fi
    local named=("${@:1:positional}")
    shift "$positional"
    local processes
    if [[ ${1:-} =~ ^[0-9]+$ ]]; then
        processes=$1
        shift
    else
        processes=$("$python" -c 'import torch; print(max(torch.cuda.device_count(), 1))')
    fi
    if [ "$processes" -lt 1 ]; then
        echo "$tool: $processes processes asked for; give 1 or more, or leave the number out for all GPUs" >&2
        exit 2
    fi
    export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
    exec "$python" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        --nproc_per_node="$processes" \
        "$tools/$tool" "${named[@]}" --launcher pytorch "$@"
}
