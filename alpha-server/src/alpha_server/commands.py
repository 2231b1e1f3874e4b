"""`alpha ingest serve`."""

from pathlib import Path
from typing import Annotated

from alpha_core.command import CommandApp
from alpha_core.config import DEFAULT_RUNS_DIR

__all__ = ["add_commands"]


def add_commands(app: CommandApp) -> None:
    """Adds the group `ingest`."""
    group = app.group("ingest", help="Receives what runs on other machines report.")

    @group.command(
        "serve",
        help="Listens for runs that train with the sink `remote`, and stores what they report.\n\nMetrics, samples and"
        " events go into the database: the one of `TURSO_DATABASE_URL`, else `alpha.db` in the folder of the runs."
        " Checkpoints go into that folder. `UPLOAD_SECRET` is what runs must know as `ALPHA_REMOTE_SECRET`.",
        examples=("alpha ingest serve", "alpha ingest serve --runs-dir=received --host=0.0.0.0 --port=8600"),
    )
    def serve(
        *,
        runs_dir: Annotated[Path, "Folder that receives a folder for each run."] = Path(DEFAULT_RUNS_DIR),
        host: Annotated[str, "Address to listen on; 0.0.0.0 is every one of this machine."] = "127.0.0.1",
        port: Annotated[int, "Port to listen on; 0 takes a free one."] = 8600,
        max_file: Annotated[float, "Largest file that is received, in GB."] = 1000.0,
    ) -> None:
        from alpha_core.environment import required_token
        from alpha_db.address import default_address
        from alpha_server.limits import Limits
        from alpha_server.serve import serve as serve_until_signal

        secret = required_token("UPLOAD_SECRET")
        address = default_address(runs_dir)

        def ready(url: str) -> None:
            print(f"listening on {url}; files go to `{runs_dir}`, everything else to `{address}`", flush=True)

        limits = Limits(file=int(max_file * 1e9))
        serve_until_signal(runs_dir, address, secret, host=host, port=port, limits=limits, ready=ready)
