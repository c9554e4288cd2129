"""Who uses the system during a run: operators, reporting runners, real jobs."""
