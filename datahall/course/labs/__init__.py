"""Labs: built from solutions, copied for a learner, judged."""
