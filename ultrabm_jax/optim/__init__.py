"""The training state, the optimiser, its schedules, and gradient accumulation."""
