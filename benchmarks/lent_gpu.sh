#!/usr/bin/env bash
# lent_gpu.sh VERB …: the hour on a GPU machine that has no network and is lent for half an hour. README.md beside this
# has the order of the calls.
#
#   here:   pack OUT DATA      what the calls carry, into OUT: the kit, pictures (at most 18 MiB), wheels, TensorRT
#           kit OUT DATA       what of it comes from this checkout and DATA; needs no network
#           check OUT          whether each call's share fits
#   there:  train [ARGUMENTS]  begins a training that goes on while later calls carry TensorRT's parts
#           fetch              what that training has, to $OUT
#           stop               ends it, at its last checkpoint
#           unpack             takes one part of TensorRT; with the last one it unpacks and runs smoke.py
#           bench [ARGUMENTS]  pytest -m gpu, and the benchmark with what ARGUMENTS say
#
# There, everything lies in the carried folder that holds this script; engines, runs and TensorRT outside of it.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WORK=${WORK:-/var/tmp/lent}          # there: outlives a call, not the machine
SITE=$WORK/site
RUN=$WORK/run
REPORT=$WORK/report                  # what bench has measured so far: $OUT is empty in each call
PREFIX=${PREFIX:-/opt/trt86}         # where unpack.sh puts TensorRT
TACTICS=(EDGE_MASK_CONVOLUTIONS JIT_CONVOLUTIONS)   # the pack has stand-ins for cuBLAS and cuDNN
# What that machine's python3 (3.12, with PyTorch, ONNX, ONNX Runtime, OpenCV and numpy 2) lacks for training.
WHEELS=(pyclipper rapidfuzz platformdirs)
# What the kit imports in the packed Python 3.10, beside numpy 1.26, pycuda and TensorRT 8.6.0 with its own bindings.
EXTRA="opencv-python-headless==4.11.0.86 pyclipper==1.4.0 onnxruntime==1.20.1 onnx==1.17.0 av==17.1.0 platformdirs rich
  rapidfuzz pillow pytest"

need() {   # PATH WHAT-TO-DO
  [ -e "$1" ] || { echo "lent_gpu.sh: no $1; $2" >&2; exit 1; }
}

kit() {
  local out data root
  out=$(realpath -m "$1") data=$(realpath "$2") root=$(cd "$HERE/.." && pwd)
  mkdir -p "$out/kit" "$out/data" "$out/weights"
  # The checkout's own files, without what is only measured or documented; the weights that training starts from apart.
  (cd "$root" && git ls-files -z -- edge_lpr engines benchmarks calib export finetune tests/helpers tests/backends \
    tests/conftest.py samples pyproject.toml ':!benchmarks/results' ':!samples/*.jpg' ':!finetune/weights' |
    xargs -0 tar -cf -) | tar -C "$out/kit" -xf -
  cp -R "$root/finetune/weights/." "$out/weights/"
  cp "${BASH_SOURCE[0]}" "$out/"
  cp -R "$data/." "$out/data/"
}

pack() {
  local out
  out=$(realpath -m "$1")
  kit "$@"
  mkdir -p "$out/wheels"
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 -d "$out/wheels" "${WHEELS[@]}"
  if [ -n "${PACK_TENSORRT:-}" ]; then   # ../shared/gpu/pack_tensorrt.sh: ten minutes, and 800 MB of downloads
    PYVER=3.10 PART_MIB=58 EXTRA="$EXTRA" "$PACK_TENSORRT" "$out/tensorrt"
  fi
  check "$out"
}

check() {   # a call carries 64 MiB, and at most 8 paths
  local out=$1 failed=0 first part
  first=$(du -scm --apparent-size "$out"/{kit,data,wheels,weights,lent_gpu.sh} | tail -n 1 | cut -f1)
  echo "the call that trains (kit, data, wheels, weights): $first MiB of 64"
  [ "$first" -le 62 ] || { echo "too much for one call: leave pictures out of $out/data" >&2; failed=1; }
  for part in "$out"/tensorrt/trt86.part.*; do
    [ -e "$part" ] || { echo "no parts of TensorRT yet: PACK_TENSORRT=…/pack_tensorrt.sh"; break; }
    [ "$(du -m "$part" | cut -f1)" -le 58 ] || { echo "$part: over 58 MiB" >&2; failed=1; }
  done
  return "$failed"
}

train() {
  mkdir -p "$WORK"
  if [ ! -d "$SITE" ]; then
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$SITE" "$HERE"/wheels/*.whl
  fi
  # The carried folder is sent anew with each call, and may lack the kit then.
  rm -rf "$WORK/kit" "$WORK/data"
  cp -R "$HERE/kit" "$HERE/data" "$WORK/"
  cp -R "$HERE/weights" "$WORK/kit/finetune/"
  export PYTHONPATH=$SITE:$WORK/kit PYTHONUNBUFFERED=1
  cd "$WORK"
  # In a session of its own it goes on once this call has returned; it writes its state by itself, and exactly resumes.
  # A shell has what it starts aside ignore Ctrl-C, by which a training is ended; `env` takes that back.
  setsid nohup env --default-signal=INT python3 -m edge_lpr finetune "${@:-det}" --device "${DEVICE:-cuda}" \
    --out "$RUN" >"$WORK/train.log" 2>&1 </dev/null &
  echo $! >"$WORK/train.pid"
  for _ in $(seq "${WATCH:-60}"); do   # a mistake in its arguments shows at once
    sleep 1
    kill -0 "$(cat "$WORK/train.pid")" 2>/dev/null || break
  done
  tail -n 20 "$WORK/train.log"
}

fetch() {   # at most 8 files of 16 MiB each come back
  tail -n 20 "$WORK/train.log" || true
  mkdir -p "$OUT"
  cp "$WORK/train.log" "$OUT/" || true
  local file
  for file in best.pdparams history.json config.yml latest.state; do
    [ -f "$RUN/$file" ] || continue
    if [ "$(stat -c %s "$RUN/$file")" -gt $((15 << 20)) ]; then
      split -b 15M -d "$RUN/$file" "$OUT/$file."
    else
      cp "$RUN/$file" "$OUT/"
    fi
  done
}

stop() {
  if [ -f "$WORK/train.pid" ]; then
    kill -INT "$(cat "$WORK/train.pid")" 2>/dev/null || true
    for _ in $(seq 60); do kill -0 "$(cat "$WORK/train.pid")" 2>/dev/null || break; sleep 1; done
  fi
  fetch
}

unpack() {
  need "$HERE/tensorrt/unpack.sh" "carry tensorrt/unpack.sh, tensorrt/trt86.sha256 and a part, as pack has written them"
  PREFIX=$PREFIX bash "$HERE/tensorrt/unpack.sh"
  if [ -x "$PREFIX/bin/python" ]; then "$PREFIX/bin/python" "$PREFIX/smoke.py"; fi
}

bench() {
  local code=0
  : "${OUT:?"is not set; it names the folder whose files come back"}"
  need "$HERE/kit" "carry the folder kit that pack has written"
  need "$HERE/data" "carry the folder data that pack has written"
  need "$PREFIX/bin/python" "unpack all parts of TensorRT first: lent_gpu.sh unpack"
  export PYTHONPATH=$HERE/kit PYTHONUNBUFFERED=1 EDGE_LPR_TACTIC_SOURCES="${TACTICS[*]}"
  cd "$HERE/kit"
  mkdir -p "$OUT" "$REPORT"
  cp "$REPORT"/* "$OUT/" 2>/dev/null || true   # a report is gone on with where it lies
  nvidia-smi -q -d CLOCK,POWER >"$OUT/clocks.txt" 2>&1 || true
  [ -n "${NO_TESTS:-}" ] || "$PREFIX/bin/python" -m pytest -q -p no:cacheprovider -m gpu tests/backends || true
  "$PREFIX/bin/python" -m edge_lpr.benchmarks.gpu --data "$HERE/data" --engines "$WORK/engines" --json "$OUT/gpu.json" \
    --tactic-sources "${TACTICS[@]}" "$@" || code=$?
  cp "$OUT"/gpu* "$REPORT/" 2>/dev/null || true
  return "$code"
}

verb=${1:?VERB: pack, kit, check, train, fetch, stop, unpack or bench}
shift
case $verb in
  pack | kit | check | train | fetch | stop | unpack | bench) "$verb" "$@" ;;
  *) echo "lent_gpu.sh: no verb $verb" >&2; exit 2 ;;
esac
