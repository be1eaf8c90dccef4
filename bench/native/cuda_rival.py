"""The greedy partition as one writes it in PyTorch on a GPU: one matrix-vector product a step.

    python3 bench/native/cuda_rival.py N d [bins] [steps]

Prints one JSON line with the steps a second over the first `steps` steps, and the time of a whole partition that
follows from them (every step multiplies all rows, as one would write it).
"""

import json
import sys
import time

import torch

n, d = int(sys.argv[1]), int(sys.argv[2])
bins = int(sys.argv[3]) if len(sys.argv) > 3 else 10
steps = int(sys.argv[4]) if len(sys.argv) > 4 else 2000

torch.manual_seed(20)
x = torch.randn(n, d, device="cuda")
x /= x.norm(dim=1, keepdim=True)


def run(count):
    score = -2 * (x @ x.sum(0))
    taken = torch.zeros(n, dtype=torch.bool, device="cuda")
    twice = 2 * (x * x).sum(1)
    for _ in range(count):
        best = torch.argmax(score.masked_fill(taken, float("-inf")))
        taken[best] = True
        score += twice - 4 * (x @ x[best])
    torch.cuda.synchronize()


run(20)
start = time.perf_counter()
run(steps)
each = (time.perf_counter() - start) / steps
print(
    json.dumps(
        {
            "what": "PyTorch",
            "version": torch.__version__,
            "device": torch.cuda.get_device_name(),
            "rows": n,
            "cols": d,
            "bins": bins,
            "stepsPerSecond": 1 / each,
            "wholePartitionSeconds": each * n,
        }
    )
)
