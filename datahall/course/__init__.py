"""The machinery that runs the course: catalogue, runner, results, report, doctor, `datahall`."""
