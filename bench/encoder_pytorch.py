"""The MultiMAE encoder in PyTorch, as the baseline of bench/encoder.mjs: reads "BATCH" lines, answers seconds per sample.

Same layers and order of operations as EPFL-VILAB/MultiMAE. --attention explicit is upstream's own attention
(matmul, softmax, matmul); sdpa replaces it by torch.nn.functional.scaled_dot_product_attention.
"""
import argparse
import json
import sys
import time

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--attention", choices=["explicit", "sdpa"], default="explicit")
args = parser.parse_args()
torch.set_num_threads(args.threads)
torch.manual_seed(0)

DIM, DEPTH, HEADS, GRID, CLASSES = 768, 12, 12, 14, 133


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(DIM, 3 * DIM)
        self.proj = nn.Linear(DIM, DIM)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, HEADS, d // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        if args.attention == "sdpa":
            x = nn.functional.scaled_dot_product_attention(q, k, v)
        else:
            x = ((q @ k.transpose(-2, -1)) * (d // HEADS) ** -0.5).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(DIM, eps=1e-6)
        self.attn = Attention()
        self.norm2 = nn.LayerNorm(DIM, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rgb = nn.Conv2d(3, DIM, 16, 16)
        self.class_emb = nn.Embedding(CLASSES, 64)
        self.semseg = nn.Conv2d(64, DIM, 4, 4)
        self.positions = nn.Parameter(torch.randn(2, 1, GRID * GRID, DIM) * 0.02)
        self.global_tokens = nn.Parameter(torch.randn(1, 1, DIM) * 0.02)
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])

    def forward(self, rgb, labels):
        rgb = self.rgb(rgb).flatten(2).transpose(1, 2) + self.positions[0]
        semseg = self.semseg(self.class_emb(labels).permute(0, 3, 1, 2)).flatten(2).transpose(1, 2) + self.positions[1]
        x = torch.cat([rgb, semseg, self.global_tokens.expand(len(rgb), -1, -1)], dim=1)
        return self.blocks(x)


encoder = Encoder().eval()
print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "attention": args.attention}), flush=True)
for line in sys.stdin:
    batch = int(line)
    rgb = torch.randn(batch, 3, 224, 224)
    labels = torch.randint(0, CLASSES, (batch, 56, 56))
    with torch.inference_mode():
        start = time.perf_counter()
        encoder(rgb, labels)
        print((time.perf_counter() - start) / batch, flush=True)
