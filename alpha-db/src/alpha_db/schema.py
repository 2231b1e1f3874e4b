"""The tables as the newest version has them: names and types of columns, keys, and the names of metrics in files."""

from collections.abc import Mapping

__all__ = ["JSON_METRICS", "KEYS", "METRIC_COLUMNS", "METRIC_OF_COLUMN", "TABLES"]

RUNS = {
    "id": "INTEGER PRIMARY KEY",
    "run_id": "TEXT NOT NULL UNIQUE",
    "config_hash": "TEXT",
    "domain": "TEXT",
    "vocab_size": "INTEGER",
    "block_size": "INTEGER",
    "n_layer": "INTEGER",
    "n_embd": "INTEGER",
    "n_head": "INTEGER",
    "dropout": "REAL",
    "total_iters": "INTEGER",
    "batch_size": "INTEGER",
    "lr": "REAL",
    "seed": "INTEGER",
    "backend": "TEXT",
    "tokenizer": "TEXT",
    "optimizer": "TEXT",
    "model_config": "TEXT",
    "train_config": "TEXT",
    "status": "TEXT NOT NULL DEFAULT 'active'",
    "latest_step": "INTEGER",
    "last_loss": "REAL",
    "best_val_loss": "REAL",
    "estimated_params": "INTEGER",
    "created_at": "TEXT NOT NULL",
    "updated_at": "TEXT",
    "disk_mtime": "REAL",
    "gpu_name": "TEXT",
    "gpu_vendor": "TEXT",
    "gpu_vram_mb": "REAL",
    "hostname": "TEXT",
    "cpu_count": "INTEGER",
    "ram_total_mb": "REAL",
    "os_platform": "TEXT",
    "symbio": "INTEGER",
    "symbio_config": "TEXT",
    "ffn_activation": "TEXT",
    "symbio_winner": "TEXT",
    "symbio_mode": "TEXT",
}
"""Of version 1; later versions add columns."""
RUNS_2 = {"parent_run_ids": "TEXT", "operator": "TEXT", "warm_start": "TEXT", "generation": "INTEGER"}
RUNS_3 = {"sample_config": "TEXT", "folder": "TEXT", "best_step": "INTEGER", "error": "TEXT"}

_REAL = (
    *("loss", "valLoss", "lr", "gradNorm", "elapsed_ms", "tokens_per_sec", "ms_per_iter", "clip_coef", "clip_pct"),
    *("gpu_util_pct", "gpu_vram_used_mb", "gpu_vram_total_mb", "gpu_mem_pool_mb", "gpu_ops_count"),
    *("timing_fwd_ms", "timing_bwd_ms", "timing_optim_ms", "timing_data_ms", "timing_flush_ms"),
    *("timing_grad_norm_ms", "timing_grad_clip_ms", "cusum_grad", "cusum_clip", "cusum_tps", "cusum_val"),
    *("weight_entropy", "effective_rank", "free_energy", "population_entropy", "fitness_score", "complexity_score"),
    "architecture_diversity",
)
_JSON = ("per_layer_grad_norms", "activation_distribution", "symbio_activation_graph")
_TEXT = (
    *("cusum_alerts", "cusum_alert_reason", "symbio_candidate_id", "symbio_candidate_name"),
    *("symbio_candidate_activation", "symbio_candidate_parent_id", "symbio_candidate_parent_name"),
    *("symbio_generation", "symbio_mutation_applied"),
)
_COLUMN_OF_METRIC = {"valLoss": "val_loss", "gradNorm": "grad_norm"}
"""Metrics whose columns are not called like them: capitals do not tell names apart in SQL."""


def _column(metric: str) -> str:
    return _COLUMN_OF_METRIC.get(metric, metric)


METRICS = {
    "run_id": "TEXT NOT NULL",
    "step": "INTEGER NOT NULL",
    **{_column(metric): "REAL" for metric in _REAL},
    **{_column(metric): "TEXT" for metric in (*_JSON, *_TEXT)},
}
"""Of version 1. Text columns have no affinity problem with numbers: SQLite stores what it is given."""
METRICS_3 = {"skipped_steps": "INTEGER", "extra": "TEXT"}

METRIC_COLUMNS: Mapping[str, str] = {metric: _column(metric) for metric in ("step", *_REAL, *_JSON, *_TEXT)} | {
    "skipped_steps": "skipped_steps"
}
"""The column of each metric that has one; others are in `extra`, as one JSON object."""
METRIC_OF_COLUMN: Mapping[str, str] = {column: metric for metric, column in METRIC_COLUMNS.items()}
JSON_METRICS = frozenset(_JSON)
"""Metrics that are lists or objects."""

CHECKPOINTS = {
    "run_id": "TEXT NOT NULL",
    "step": "INTEGER NOT NULL",
    "filename": "TEXT",
    "file_path": "TEXT",
    "file_size": "INTEGER",
    "created_at": "TEXT",
}
DOMAINS = {
    "id": "TEXT PRIMARY KEY",
    "summary": "TEXT",
    "tokenizer": "TEXT",
    "settings": "TEXT",
    "prompts": "TEXT",
}
SAMPLES = {
    "run_id": "TEXT NOT NULL",
    "step": "INTEGER NOT NULL",
    "idx": "INTEGER NOT NULL",
    "prompt": "TEXT",
    "output": "TEXT",
    "created_at": "TEXT NOT NULL",
}
EVENTS = {
    "run_id": "TEXT NOT NULL",
    "step": "INTEGER NOT NULL",
    "level": "TEXT",
    "kind": "TEXT NOT NULL",
    "message": "TEXT NOT NULL",
    "payload_json": "TEXT",
    "created_at": "TEXT NOT NULL",
}
SYNC_STATE = {
    "run_id": "TEXT NOT NULL",
    "file": "TEXT NOT NULL",
    "position": "INTEGER NOT NULL",
    "beginning": "TEXT",
    "skipped": "INTEGER NOT NULL",
}

TABLES: Mapping[str, Mapping[str, str]] = {
    "runs": RUNS | RUNS_2 | RUNS_3,
    "metrics": METRICS | METRICS_3,
    "checkpoints": CHECKPOINTS,
    "domains": DOMAINS,
    "samples": SAMPLES,
    "events": EVENTS,
    "sync_state": SYNC_STATE,
}
KEYS: Mapping[str, tuple[str, ...]] = {
    "runs": ("run_id",),
    "metrics": ("run_id", "step"),
    "checkpoints": ("run_id", "step"),
    "domains": ("id",),
    "samples": ("run_id", "step", "idx", "created_at"),
    "events": ("run_id", "created_at", "step", "kind", "message"),
    "sync_state": ("run_id", "file"),
}
"""What makes a row the same row."""
