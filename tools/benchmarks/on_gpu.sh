#!/usr/bin/env bash
# Everything that waits for a GPU, in stages: on_gpu.sh [--dry-run] setup|tests|throughput|train [...]
#   setup: installs the wheels in the folder WHEELS, unpacks DATA where it is an archive, and says what is here
#   tests: all that can run on CUDA            throughput: images a second, option by option; views on the device
#   train: CIFAR-10, MoCo and SimCLR without and with Un-Mix, SLICE=5 epochs each in turns up to EPOCHS=1000, with k-NN
# DATA: train/<class>/ and test/<class>/, or cifar10/ with them in a tar. OUT: work_dirs/gpu. PYTHON: python.
# A call ends after LIMIT=570 seconds, and the same call goes on from there. --dry-run prints the commands.
set -euo pipefail
python=${PYTHON:-python} slice=${SLICE:-5} end=$((SECONDS + ${LIMIT:-570})) dry='' failed=0
[ "${1:-}" != --dry-run ] || { dry=1 && shift; }
for stage in "${@:-none}"; do
    [[ $stage =~ ^(setup|tests|throughput|train)$ ]] || { sed -n '2,7p' "$0" >&2 && exit 2; }
done
out=$(realpath -m "${OUT:-work_dirs/gpu}") data=${DATA:+$(realpath -m "$DATA")} wheels=${WHEELS:+$(realpath -m "$WHEELS")}
cd "$(dirname "$0")/../.."
[[ $data != *.tar* ]] || archive=$data data=$out/cifar10
export PYTHONPATH="$PWD:$out/site${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}

# step NAME COMMAND ...: unless it is done, with a log of its own, for as long as the call may take.
step() {
    local name=$1 code=0 left=$((end - SECONDS))
    shift
    [ ! -e "$out/$name.done" ] || return 0
    [ -z "$dry" ] || { printf '%q ' "$@" && echo && return 0; }
    [ "$left" -gt 0 ] || { echo "on_gpu.sh: time is up at $name; the same call goes on" && exit "$failed"; }
    echo "== $name: $left s left"
    mkdir -p "$(dirname "$out/$name")"
    timeout --kill-after=20 "$left" "$@" >>"$out/$name.log" 2>&1 || code=$?
    tail -n 3 "$out/$name.log"
    case $code in
        0) touch "$out/$name.done" ;;
        124 | 137) return 1 ;;
        *) failed=1 && echo "on_gpu.sh: $name ended with code $code: $out/$name.log" >&2 && return 1 ;;
    esac
}

setup() {
    [ -z "$wheels" ] || step wheels "$python" -m pip install -q --no-index --no-deps --no-compile --upgrade \
        --target "$out/site" "$wheels"/*.whl || return 0
    [ -z "${archive:-}" ] || step data tar xf "$archive" -C "$out" || return 0
    step doctor "$python" -m mixssl doctor || return 0
}

tests() { # those files alone: others may ask for more than what training needs
    local files
    mapfile -t files < <(grep -rlE 'mark\.(gpu|device)' tests --include='test_*.py')
    step tests env MIXSSL_TEST_DEVICE=cuda OMP_NUM_THREADS=1 "$python" -m pytest -q -n "${WORKERS:-8}" \
        --dist worksteal -m 'gpu or device' "${files[@]}" || return 0
}

# options TITLE COMMAND ... -- SWITCH ...: a row with all switches, one without each, one with compiled encoders besides.
options() {
    local title=$1 command=() flags settings row switch
    shift
    while [ "$1" != -- ]; do command+=("$1") && shift; done
    shift
    for row in all "${@/#/without }" none compiled; do
        flags=() settings=(train_dataloader.num_workers="$(nproc)")
        for switch in "$@"; do
            [[ $row != none && $row != "without $switch" ]] || continue
            if [[ $switch == --* ]]; then read -ra switch <<<"$switch" && flags+=("${switch[@]}"); else settings+=("$switch"); fi
        done
        [ "$row" != compiled ] || settings+=(model.compile_encoders=True)
        step "throughput/$title $row" "$python" tools/benchmarks/throughput.py "${command[@]}" "${flags[@]}" --peak \
            --csv "$out/throughput.csv" --row "$title: $row" --cfg-options "${settings[@]}" || true
    done
}

throughput() {
    local usual=('--amp bfloat16' model.channels_last=True optim_wrapper.optimizer.fused=True)
    step views/32 "$python" docs/pipeline.py configs/unmix/moco_r18_cifar10.py --batch-size 512 \
        --json "$out/views_32.json" || true
    step views/224 "$python" docs/pipeline.py configs/unmix/mocov2_r50_in1k.py --batch-size 128 --size 256 --rounds 5 \
        --json "$out/views_224.json" || true
    [ -z "$data" ] || options r18 configs/unmix/moco_r18_cifar10.py --data-root "$data" --batch-size 512 --steps 50 \
        -- "${usual[@]}" --device-views --in-memory
    options r50 configs/unmix/mocov2_r50_in1k.py --synthetic --batch-size 256 -- "${usual[@]}"
}

train() {
    local arm epoch mixture
    [ -n "$data" ] || { echo 'on_gpu.sh: train needs DATA, a folder or an archive of CIFAR-10' >&2 && exit 2; }
    for ((epoch = slice; epoch <= ${EPOCHS:-1000}; epoch += slice)); do
        for arm in moco moco_unmix simclr simclr_unmix; do
            mixture=()
            [[ $arm == *_unmix ]] || mixture=(data_preprocessor.mixer=None)
            step "train/$arm/$epoch" "$python" tools/train.py "configs/unmix/${arm%_unmix}_r18_cifar10.py" --resume --seed 0 \
                --work-dir "$out/train/$arm" --data-root "$data" --amp bfloat16 --device-views --in-memory --cfg-options \
                train_cfg.max_epochs="$epoch" default_hooks.checkpoint.interval="$slice" default_hooks.knn.interval="$slice" \
                default_hooks.checkpoint.max_keep_ckpts=1 model.channels_last=True \
                optim_wrapper.optimizer.fused=True "${mixture[@]}" || return 0
            [ -n "$dry" ] || curves
        done
        [ -z "$dry" ] || return 0
    done
}

# What the logs of train say, as a table; an epoch takes its images / images_per_s.
curves() {
    "$python" - "$out" <<'PY'
import csv, json, pathlib, statistics, sys

out = pathlib.Path(sys.argv[1])
with (out / "train.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["arm", "epoch", "knn_top1", "images_per_s"])
    for arm in sorted(out.glob("train/*")):
        logs = sorted(arm.glob("*/vis_data/scalars.json"))
        rows = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
        rates = [row["images_per_s"] for row in rows if "images_per_s" in row]
        rate = round(statistics.median(rates)) if rates else ""
        table.writerows([arm.name, r["step"], r["knn_top1"], rate] for r in rows if "knn_top1" in r)
PY
}

[ -n "$dry" ] || mkdir -p "$out"
for stage in "$@"; do "$stage"; done
exit "$failed"
