"""A DPT training step from cached tokens in PyTorch, timed: the baseline of bench/training.mjs.

    python torch_dpt.py --feature 256 --image 224 --dim 768 --layers 96,192,384,768 --tasks 1 --batch 4 --threads 2

Prints what it is as one JSON line, then does a step for each line on standard input and prints its process CPU seconds and
wall seconds. With --check FOLDER (golden/multimae-official) it
first compares loss, gradients and five AdamW steps with the golden vectors, so that the baseline is the same computation.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class Fusion(nn.Module):
    def __init__(self, features, first):
        super().__init__()
        if first:
            self.resConfUnit1 = Residual(features)
        self.resConfUnit2 = Residual(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, path, layer):
        x = layer if path is None else path + self.resConfUnit1(layer)
        x = F.interpolate(self.resConfUnit2(x), scale_factor=2, mode="bilinear", align_corners=True)
        return self.out_conv(x)


class Dpt(nn.Module):
    def __init__(self, width, side, dims, features):
        super().__init__()
        self.side = side
        conv = nn.Conv2d
        self.act_1_postprocess = nn.Sequential(conv(width, dims[0], 1), nn.ConvTranspose2d(dims[0], dims[0], 4, 4))
        self.act_2_postprocess = nn.Sequential(conv(width, dims[1], 1), nn.ConvTranspose2d(dims[1], dims[1], 2, 2))
        self.act_3_postprocess = nn.Sequential(conv(width, dims[2], 1))
        self.act_4_postprocess = nn.Sequential(conv(width, dims[3], 1), conv(dims[3], dims[3], 3, 2, 1))
        self.scratch = nn.Module()
        for i, dim in enumerate(dims):
            setattr(self.scratch, f"layer{i + 1}_rn", conv(dim, features, 3, padding=1, bias=False))
            setattr(self.scratch, f"refinenet{i + 1}", Fusion(features, i < 3))
        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.head = nn.Sequential(
            conv(features, features // 2, 3, padding=1), up, conv(features // 2, 32, 3, padding=1), nn.ReLU(), conv(32, 1, 1)
        )

    def forward(self, tokens):
        path = None
        maps = []
        for i, value in enumerate(tokens):
            b, _, c = value.shape
            image = value.transpose(1, 2).reshape(b, c, self.side, self.side)
            x = getattr(self, f"act_{i + 1}_postprocess")(image)
            maps.append(getattr(self.scratch, f"layer{i + 1}_rn")(x))
        for i in (3, 2, 1, 0):
            path = getattr(self.scratch, f"refinenet{i + 1}")(path, maps[i])
        return self.head(path)


def berhu(p, t, valid):
    d = ((p - t) * valid).abs()
    c = torch.clamp(0.2 * d.detach().max(), min=1e-5)
    return torch.where(d < c, d, (d * d + c * c) / (2 * c)).sum() / valid.sum()


def optimizer_of(model, lr, decay):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr)


def check(folder):
    from safetensors.torch import load_file

    load = lambda name: load_file(str(Path(folder) / f"{name}.safetensors"))
    state, io, grads, tokens = load("dpt_state"), load("train_io"), load("dpt_grads"), load("tokens")
    model = Dpt(64, 4, [12, 16, 24, 32], 24)
    model.load_state_dict({k: state[k] for k in model.state_dict()})
    inputs = [tokens[f"layer.{i}"][:, :16] for i in range(4)]
    target, valid = io["target_depth"], io["mask_valid"].float()
    optimizer = optimizer_of(model, 1e-3, 0.05)
    losses = []
    for step in range(5):
        optimizer.zero_grad()
        loss = berhu(model(inputs), target, valid)
        loss.backward()
        losses.append(loss.item())
        if step == 0:
            worst = max(((p.grad - grads[k]).abs().max() / grads[k].abs().max()).item() for k, p in model.named_parameters())
            assert worst < 1e-5, worst
        optimizer.step()
    assert max(abs(a - b) for a, b in zip(losses, io["losses_before_each_step"].tolist())) < 2e-5, losses


def main():
    parser = argparse.ArgumentParser()
    for name, default in dict(feature=256, image=224, dim=768, tasks=1, batch=4, threads=2).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--layers", default="96,192,384,768")
    parser.add_argument("--check")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.check:
        check(args.check)
    torch.manual_seed(0)
    side = args.image // 16
    model = Dpt(args.dim * args.tasks, side, [int(d) for d in args.layers.split(",")], args.feature)
    optimizer = optimizer_of(model, 1e-4, 1e-4)
    tokens = [torch.randn(args.batch, side * side, args.dim * args.tasks) for _ in range(4)]
    target = torch.randn(args.batch, 1, args.image, args.image)
    valid = torch.ones_like(target)
    print(json.dumps({"who": f"PyTorch {torch.__version__}", "parameters": sum(p.numel() for p in model.parameters())}), flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        optimizer.zero_grad()
        loss = berhu(model(tokens), target, valid)
        loss.backward()
        optimizer.step()
        loss.item()
        print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}), flush=True)


if __name__ == "__main__":
    main()
