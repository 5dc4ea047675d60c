#!/usr/bin/env bash
# Make the models that ship with fcinv from the ensembles that ship with it, and from nothing else.
# Usage: bash scripts/train_models.sh [--threads N] [ge] [nb]      (default: both crystals, all cores)
# Training sets, logs and checkpoints are kept in $FCINV_TRAINING (default: training); an interrupted run goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/set_up.sh
work=${FCINV_TRAINING:-training}
source scripts/training_options.sh

mkdir -p "$work"
for crystal in "${crystals[@]}"; do
    ensemble=fcinv_core/data/ensembles/$crystal
    if [[ ! -f $work/$crystal.h5 ]]; then
        .venv/bin/fcinv generate "$ensemble/POSCAR" --force-constants "$ensemble" --n 40000 --points 101 \
            --out "$work/$crystal.h5"
    fi
    train=(.venv/bin/fcinv train "$work/$crystal.h5" --resume "${precision[@]}" "${threads[@]}")
    "${train[@]}" --architecture vae --epochs 10 --out "models/${crystal}_vae" | tee -a "$work/${crystal}_vae.log"
    # Learning to clean spectra is the better part of reading them: the flow begins from that encoder.
    "${train[@]}" --architecture flow --epochs 6 --out "models/$crystal" \
        --pretrained "models/${crystal}_vae/weights.safetensors" | tee -a "$work/$crystal.log"
done
