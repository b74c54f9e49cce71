"""Running notebooks: plan, execute, verdict, results."""
