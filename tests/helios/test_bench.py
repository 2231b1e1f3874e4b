"""`alpha bench` on a device: every suite that computes runs, and is held against ceilings."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.usefixtures("device_available")
@pytest.mark.parametrize(
    ("suite", "case"), [("ops", "*"), ("gemm", "*wqkv*"), ("attn", "*"), ("train", "*"), ("infer", "*decode-1-*")]
)
def test_suites_run(suite: str, case: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "alpha_cli", "bench", "run", f"--suite={suite}", f"--case={case}"]
    done = subprocess.run(
        [*command, "--backend=helios", "--quick", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["backend"]["name"] == "helios"
    results = report["cases"]
    assert results
    assert [(result["id"], result.get("reason")) for result in results if result["status"] != "ok"] == []
    how = report["ceilings"]["how"]
    assert how["f32"] == "the peak that `helios` measures"
    assert all(share is None or share < 1.2 for result in results if (share := _share(result)) is not None)


def _share(result: dict[str, object]) -> float | None:
    roofline = result.get("roofline")
    return roofline.get("flops_share") if isinstance(roofline, dict) else None
