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
    if ! "$python" -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("torch") and u.find_spec("mmengine")))'; then
        echo "$tool: $(command -v "$python") has no torch or no mmengine; after make setup run: source .venv/bin/activate," \
            "or name a Python that has them with PYTHON=..." >&2
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
    local nodes=${NNODES:-1} address=${MASTER_ADDR:-127.0.0.1} port=${PORT:-29500} restarts=${MAX_RESTARTS:-0}
    local meeting=(--node_rank="${NODE_RANK:-0}" --master_addr="$address" --master_port="$port") again=()
    if [ "$restarts" -gt 0 ]; then
        # Machines hear of each other's dead workers this way. Workers that are started again must not meet in the store
        # of the first ones, where these have left their addresses: torch 2.11 gives them that one unless told not to.
        meeting=(--max_restarts="$restarts" --rdzv_backend=c10d --rdzv_endpoint="$address:$port" --rdzv_id="$port")
        [ "$nodes" -gt 1 ] || meeting+=(--local_addr=127.0.0.1)
        export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
        [ "$tool" != train.py ] || again=(--resume)
    fi
    exec "$python" "$tools/torchrun.py" \
        --nnodes="$nodes" \
        "${meeting[@]}" \
        --nproc_per_node="$processes" \
        "$tools/$tool" "${named[@]}" --launcher pytorch "${again[@]}" "$@"
}
