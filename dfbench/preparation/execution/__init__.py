"""Run a plan: workers, engines, retries, resume."""
