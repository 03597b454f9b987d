# SPDX-License-Identifier: Apache-2.0
"""A reader's process: takes a job on its first line of input and says what it used."""

from __future__ import annotations

import asyncio
import sys

from .job import Job, Reader


def main() -> None:
    job = Job.from_json(sys.stdin.readline())
    # Imported here: a reader's memory must not hold the others.
    if job.reader is Reader.OURS:
        from .ours import run

        asyncio.run(run(job))
    else:
        from .peers import run_ffmpeg, run_pyav

        {Reader.PYAV: run_pyav, Reader.FFMPEG: run_ffmpeg}[job.reader](job)


if __name__ == "__main__":
    main()
