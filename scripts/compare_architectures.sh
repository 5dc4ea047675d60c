#!/usr/bin/env bash
# Compare architectures where the paper does: on 10 000 spectra a crystal in which eight force constants vary and the
# others stay at the reference. A VAE and a ResNet-18 see clean spectra, min-max scaled, as there. Another VAE and a flow
# that begins from its encoder see simulated measurements; a flow that begins from the ResNet-18 sees these and ideal
# spectra. Then `fcinv benchmark noise` over the grid of backgrounds and counts.
# Usage: bash scripts/compare_architectures.sh [--threads N] [ge] [nb]      (default: both crystals, all cores)
# Everything is kept in $FCINV_COMPARISON (default: comparison); an interrupted run goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/set_up.sh
work=${FCINV_COMPARISON:-comparison}
source scripts/training_options.sh

# Memory of one step serves the next, instead of going back to the system: a seventh faster.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=$((1 << 33))
mkdir -p "$work"
train() { # NAME OPTION ...: train one model unless it is there
    local model=$work/${crystal}_$1
    if [[ ! -f $model/card.json ]]; then
        .venv/bin/fcinv train "$work/$crystal.h5" --resume "${precision[@]}" "${threads[@]}" "${@:2}" --out "$model" |
            tee -a "$model.log"
    fi
}
for crystal in "${crystals[@]}"; do
    ensemble=fcinv_core/data/ensembles/$crystal
    if [[ ! -f $work/$crystal.h5 ]]; then
        .venv/bin/fcinv generate "$ensemble/POSCAR" --force-constants "$ensemble" --n 10000 --others reference \
            --points 101 --out "$work/$crystal.h5"
    fi
    train vae_clean --architecture vae --augment none --scaling minmax --epochs 32
    train vae --architecture vae --epochs 16
    train flow --architecture flow --epochs 12 --pretrained "$work/${crystal}_vae/weights.safetensors"
    train resnet_clean --architecture resnet --augment none --scaling minmax --epochs 44
    train resnet_flow --architecture resnet_flow --augment mixed --epochs 26 \
        --pretrained "$work/${crystal}_resnet_clean/weights.safetensors"
    models=()
    for row in vae_clean resnet_clean vae flow resnet_flow; do models+=(--model "$work/${crystal}_$row"); done
    .venv/bin/fcinv benchmark noise "${models[@]}" --training "$work/$crystal.h5" --out "$work/${crystal}_noise"
done
