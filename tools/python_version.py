"""Say in one line whether this Python can run the bridge; any Python 3 reads this file."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - read by the Python that may be too old
    sys.exit(
        "the bridge needs Python 3.11 or newer, this is %d.%d (%s): call make PYTHON=python3.11"  # noqa: UP031 - as above
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
