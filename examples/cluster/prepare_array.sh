#!/usr/bin/env bash
# One task of a job array prepares one part of a data set. Submit:
#
#     ROOT=s3://bucket/FaceForensics OUT=s3://bucket/manifests/ffpp sbatch --array=1-16 prepare_array.sh ff++ --subset c23
#
# Everything after the script's name goes to dfbench prepare. Requeued and resubmitted tasks resume. Then: merge.sh.
#SBATCH --job-name=dfbench-prepare
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
set -euo pipefail

: "${ROOT:?the folder or URL of the data set}" "${OUT:?the folder or URL of the manifest}"
part="${SLURM_ARRAY_TASK_ID:?submit with sbatch --array=1-N}"
parts="${PARTS:-${SLURM_ARRAY_TASK_MAX:-${SLURM_ARRAY_TASK_COUNT:?set PARTS to the N of --array=1-N}}}"

# Media of object stores are staged on the disk of the node, which most clusters empty after the job.
if [[ -z "${DFBENCH_STAGING:-}" && -n "${TMPDIR:-}" ]]; then export DFBENCH_STAGING="$TMPDIR/dfbench-staging"; fi

exec ${DFBENCH:-dfbench} prepare "$@" --root "$ROOT" --out "$OUT" --array "$part/$parts" \
  --workers "${SLURM_CPUS_PER_TASK:-1}"
