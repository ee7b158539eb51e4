#!/usr/bin/env bash
# Joins the parts of a job array when all of them are finished, and checks the manifest. Submit with the array:
#
#     array=$(ROOT=... OUT=... sbatch --parsable --array=1-16 prepare_array.sh ff++)
#     OUT=... sbatch --dependency=afterok:$array merge.sh
#SBATCH --job-name=dfbench-merge
#SBATCH --cpus-per-task=1
#SBATCH --time=02:00:00
set -euo pipefail

: "${OUT:?the folder or URL of the parts}"
${DFBENCH:-dfbench} merge "$OUT"
${DFBENCH:-dfbench} verify "$OUT"
