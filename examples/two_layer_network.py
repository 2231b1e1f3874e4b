"""Autograd by itself: a two-layer network learns a circle. Needs alpha-autograd and alpha-tensor only."""

import numpy as np

from alpha_autograd import Tape
from alpha_tensor import CpuRef

backend, random = CpuRef(), np.random.default_rng(0)
points = random.uniform(-1, 1, (512, 2)).astype(np.float32)
inside = (np.hypot(*points.T) < 0.7).astype(np.int32)
x, y = backend.upload(np.insert(points, 2, 1, axis=1)), backend.upload(inside)  # a constant input is the bias
w1 = backend.upload(2 * random.standard_normal((3, 32), np.float32))
w2 = backend.upload(0.2 * random.standard_normal((32, 2), np.float32))
for step in range(301):
    tape = Tape(backend)
    tape.watch(w1, w2)
    logits = tape.matmul(tape.tanh(tape.matmul(x, w1)), w2)
    loss = tape.mean(tape.cross_entropy(logits, y))
    for weight, gradient in zip((w1, w2), tape.gradients(loss, [w1, w2]), strict=True):
        backend.assign(weight, backend.sub(weight, backend.mul(gradient, 0.5)))
    if step % 100 == 0:
        accuracy = (backend.download(backend.argmax(logits)) == inside).mean()
        print(f"step {step}: loss {float(backend.download(loss)):.3f}, accuracy {accuracy:.0%}")
