"""What a node needs: the agent, its slots, and the life of a job's process tree."""
