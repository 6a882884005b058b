#!/usr/bin/env bash
# Fine-tunes a detector from a pre-trained backbone, several times: tools/transfer_det.sh CONFIG PRETRAIN [OPTIONS]
# PRETRAIN: a checkpoint of pre-training, torchvision://resnet50 or "random". OPTIONS: those of tools/train.py and test.py.
# TRIALS=3 trials with the seeds SEED=0, 1, 2 on GPUS devices (all there are) and PORT; ENCODER=online or momentum.
# WORK_DIR: work_dirs/transfer/<config>. Called again, it goes on where it was stopped; what is done stays done.
set -euo pipefail
set -m # a child in a process group of its own gets each signal once: from here

if [ "$#" -lt 2 ]; then
    sed -n '2,5p' "$0" >&2
    exit 2
fi
config=$1 pretrain=$2
shift 2
tools=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python}
trials=${TRIALS:-3} seed=${SEED:-0} encoder=${ENCODER:-online}
for number in "$trials" "$seed"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "transfer_det.sh: TRIALS and SEED are numbers, not '$number'" >&2; exit 2; }
done
gpus=${GPUS:-$("$python" -c 'import torch; print(torch.cuda.device_count())')}
name=$(basename "$config" .py)
root=${WORK_DIR:-work_dirs/transfer/$name}
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"

child='' stopped=''
stop() {
    stopped=$((128 + $1))
    [ -z "$child" ] || kill "-$1" "$child" 2>/dev/null || true
}
trap 'stop 2' INT
trap 'stop 15' TERM

# Runs a command, hands signals on to it and waits until it has ended.
run() {
    local code=0
    "$@" &
    child=$!
    while true; do
        code=0
        wait "$child" || code=$?
        kill -0 "$child" 2>/dev/null || break # else a signal has ended the wait, not the child
    done
    child=''
    [ -z "$stopped" ] || exit "$stopped"
    return "$code"
}

# on_devices TOOL N ARGUMENTS: train or test, on one device or on several; N are the tool's arguments before options.
on_devices() {
    local tool=$1 positional=$2
    shift 2
    if [ "$gpus" -gt 1 ]; then
        run "$tools/dist_$tool.sh" "${@:1:positional}" "$gpus" "${@:positional+1}"
    else
        run "$python" "$tools/$tool.py" "$@"
    fi
}

folder=$root/random file=random
if [ "$pretrain" != random ]; then
    mkdir -p "$root/backbones"
    said=$root/backbones/.extraction.$$
    trap 'rm -f "$said"' EXIT
    run "$python" "$tools/convert/extract_backbone.py" "$pretrain" --config "$config" --check \
        --encoder "$encoder" --out "$root/backbones" >"$said"
    cat "$said"
    file=$(tail -n 1 "$said")
    folder=$root/$(basename "$file" .pth)
fi

options=$*
mkdir -p "$folder"
if compgen -G "$folder/seed_*/last_checkpoint" >/dev/null && [ "$(cat "$folder/options")" != "$options" ]; then
    echo "transfer_det.sh: the trials in $folder were started with the options '$(cat "$folder/options")': go on with" \
        "these, or choose another WORK_DIR" >&2
    exit 2
fi
printf '%s\n' "$options" >"$folder/options"

for ((trial = 0; trial < trials; trial++)); do
    number=$((seed + trial))
    dir=$folder/seed_$number
    if [ ! -f "$dir/metrics.json" ]; then
        echo "transfer_det.sh: seed $number, training in $dir"
        [ -f "$dir/trained" ] || on_devices train 1 "$config" --work-dir "$dir" --seed "$number" --resume \
            --no-validate --cfg-options "model.init_cfg.checkpoint=$file" "$@"
        touch "$dir/trained"
        echo "transfer_det.sh: seed $number, evaluation"
        on_devices test 2 "$config" "$(cat "$dir/last_checkpoint")" --work-dir "$dir/test" \
            --out "$dir/metrics.part.json" --out-item metrics "$@"
        mv "$dir/metrics.part.json" "$dir/metrics.json"
    fi
done
run "$python" "$tools/benchmarks/trials.py" "$folder" --config "$config" --devices "$gpus"
