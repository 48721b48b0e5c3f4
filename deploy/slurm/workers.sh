#!/bin/bash
# Workers of exs as an array of Slurm jobs: sbatch --array=1-8 deploy/slurm/workers.sh
# Each serves the GPUs that Slurm gives it, takes no job whose timeout, or what jobs of its experiment took, is longer
# than the time it has left, and hands back what still runs before that is over. A job that saves checkpoints is taken
# however long it takes: it goes on from the last one in another allocation.
# Needs in the environment of sbatch: EXS_REDIS_URL (exs server url), and exs on PATH.

#SBATCH --job-name=exs-worker
#SBATCH --output=exs-worker-%A_%a.log
#SBATCH --time=4:00:00
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-node=1
# SIGUSR1 to the worker itself (B:) two minutes before the end, also where the end comes earlier than was said.
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append

: "${EXS_REDIS_URL:?set it to the URL that the nodes reach, as exs server url prints it}"
# exec: the signal has to reach the worker, not a shell that waits for it.
exec exs worker --idle-exit "${EXS_IDLE_EXIT:-10m}" "$@"
