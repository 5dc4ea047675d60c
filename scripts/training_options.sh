# Sourced by the scripts that train: [--threads N] [ge] [nb] of the command line to the arrays threads, crystals (both
# by default) and precision.
threads=()
crystals=()
while (($#)); do
    case $1 in
        --threads) threads=(--threads "$2"); shift 2 ;;
        ge | nb) crystals+=("$1"); shift ;;
        *) echo "$(basename "$0"): no ensemble of '$1' ships; name ge or nb" >&2; exit 2 ;;
    esac
done
((${#crystals[@]})) || crystals=(ge nb)
# Processors with units for bfloat16 train twice as fast in it.
precision=()
if grep -qs -e amx_bf16 -e avx512_bf16 /proc/cpuinfo; then precision=(--half-precision); fi
