"""The machinery that runs the course: catalogue, runner, results, report, doctor and the `datahall` command."""
