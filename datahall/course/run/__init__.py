"""Running notebooks: plan, execute, outcome, results."""
