"""`python -m datahall.course.notebooks`: the authors' tool."""

import sys

from datahall.course.notebooks.tool import main

sys.exit(main())
