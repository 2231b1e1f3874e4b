"""The option `--weights` of the commands that use a trained model."""

__all__ = ["WEIGHTS_HELP"]

WEIGHTS_HELP = (
    "How the weights of matrix products are stored: f32, bf16 or int8 (a scale for each output channel). Small ones are"
    " read faster for each token; alpha eval tells what they cost.  [default: the run's precision]"
)
