#!/bin/bash
# As workers.sh, on nodes without a GPU, one slot per core: sbatch --array=1-8 deploy/slurm/cpu-workers.sh

#SBATCH --job-name=exs-worker
#SBATCH --output=exs-worker-%A_%a.log
#SBATCH --time=4:00:00
#SBATCH --cpus-per-task=4
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append

: "${EXS_REDIS_URL:?set it to the URL that the nodes reach, as exs server url prints it}"
exec exs worker --cpus "${SLURM_CPUS_PER_TASK:-1}" --idle-exit "${EXS_IDLE_EXIT:-10m}" "$@"
