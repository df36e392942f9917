"""An executor: this machine, and a list of what ran."""

from pathlib import Path

from seedband.jobs.executors.local import LocalExecutor


class Listing(LocalExecutor):
    """Runs jobs here, and notes their names."""

    def run(self, jobs, logs, on_event):
        with Path("ran.txt").open("a", encoding="utf-8") as file:
            file.writelines(f"{job.name}\n" for job in jobs)
        return super().run(jobs, logs, on_event)
