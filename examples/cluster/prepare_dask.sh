#!/usr/bin/env bash
# One job of several nodes: a Dask scheduler, workers on all of them, and dfbench prepare on the first. Submit:
#
#     ROOT=s3://bucket/dfdc OUT=s3://bucket/manifests/dfdc sbatch --nodes=4 prepare_dask.sh dfdc
#
# Without SLURM it starts the workers on this machine.
#SBATCH --job-name=dfbench-dask
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=2G
#SBATCH --time=24:00:00
set -euo pipefail

: "${ROOT:?the folder or URL of the data set}" "${OUT:?the folder or URL of the manifest}"
python="${PYTHON:-python}"
folder="$(mktemp -d "${TMPDIR:-/tmp}/dfbench-dask.XXXXXX")"
host="$(hostname -f 2>/dev/null || hostname)"
if [[ -z "${SLURM_JOB_ID:-}" ]]; then host=127.0.0.1; fi
trap 'kill $(jobs -p) 2>/dev/null || true; wait; rm -rf "$folder"' EXIT

$python -m distributed.cli.dask_scheduler --host "$host" --port "${PORT:-0}" --no-dashboard --no-show \
  --scheduler-file "$folder/scheduler.json" &
until [[ -s "$folder/scheduler.json" ]]; do sleep 0.2; done
address="$($python -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$folder/scheduler.json")"

# One thread per worker process: every thread makes one shard at a time.
start="${SLURM_JOB_ID:+srun --ntasks=${SLURM_NNODES:-1} --ntasks-per-node=1}"
$start $python -m distributed.cli.dask_worker "$address" --nworkers "${SLURM_CPUS_PER_TASK:-1}" --nthreads 1 \
  --no-dashboard --memory-limit 0 --local-directory "$folder" &

$python -m dfbench prepare "$@" --root "$ROOT" --out "$OUT" --engine dask --address "$address"
