"""Networks that name a rule each: attention in many spellings, channels in blocks, concatenation, tied weights."""

import math

import torch
from torch import nn
from torch.nn import functional as f


class Attention(nn.Module):
    """Self-attention between two linear maps; `spelling` says how q, k, v come from one matrix."""

    def __init__(self, spelling: str, width: int = 12, heads: int = 3):
        super().__init__()
        self.spelling, self.heads = spelling, heads
        self.first, self.qkv = nn.Linear(5, width), nn.Linear(width, 3 * width)
        self.proj, self.last = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x):
        x = self.first(x)
        batch, tokens, width = x.shape
        z, each = self.qkv(x), width // self.heads
        if self.spelling == "unbind":
            q, k, v = z.reshape(batch, tokens, 3, self.heads, each).permute(2, 0, 3, 1, 4).unbind(0)
        else:
            parts = (
                z.split(width, -1)
                if self.spelling == "split"
                else [z[..., i * width : (i + 1) * width] for i in range(3)]
            )
            q, k, v = (part.view(batch, tokens, self.heads, each).transpose(1, 2) for part in parts)
        y = ((q @ k.transpose(-2, -1)) / math.sqrt(each)).softmax(-1) @ v
        return self.last(self.proj(y.transpose(1, 2).reshape(batch, tokens, width)) + x)


class Stacked(nn.Module):
    """The same with one matrix a head, by einsum."""

    def __init__(self, width: int = 12, heads: int = 3, each: int = 4):
        super().__init__()
        self.first, self.last = nn.Linear(5, width), nn.Linear(width, 2)
        self.q, self.k, self.v = (nn.Parameter(torch.randn(heads, width, each)) for _ in range(3))
        self.o = nn.Parameter(torch.randn(heads, each, width))

    def forward(self, x):
        x = self.first(x)
        q, k, v = (torch.einsum("bte,hed->bhtd", x, w) for w in (self.q, self.k, self.v))
        scores = torch.einsum("bhtd,bhsd->bhts", q, k).softmax(-1)
        return self.last(torch.einsum("bhts,bhsd,hde->bte", scores, v, self.o) + x)


class SharedHeads(nn.Module):
    """Attention whose four heads share two of k and v."""

    def __init__(self):
        super().__init__()
        self.first, self.last, self.o = nn.Linear(5, 16), nn.Linear(16, 2), nn.Linear(16, 16)
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(16, 8)

    def forward(self, x):
        x = self.first(x)
        q, k, v = (w(x).view(*x.shape[:2], -1, 4).transpose(1, 2) for w in (self.q, self.k, self.v))
        y = f.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.last(self.o(y.transpose(1, 2).flatten(2)) + x)


class Language(nn.Module):
    """A small causal language model whose read-out is its embedding."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.token, self.place = nn.Embedding(11, width), nn.Parameter(torch.randn(7, width))
        self.block = nn.TransformerEncoderLayer(width, 4, 24, batch_first=True, norm_first=True)
        self.head = nn.Linear(width, 11, bias=False)
        self.head.weight = self.token.weight

    def forward(self, x):
        return self.head(self.block(self.token(x) + self.place[: x.shape[1]]))


class Branches(nn.Module):
    """Concatenated channels, and a block of channels gated by a squeeze."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 4, 3, padding=1)
        self.norm, self.c = nn.BatchNorm2d(10), nn.Conv2d(10, 5, 3, padding=1)
        self.squeeze, self.excite, self.last = nn.Linear(15, 3), nn.Linear(3, 15), nn.Linear(60, 3)

    def forward(self, x):
        x = self.a(x)
        x = torch.cat([x, self.b(x)], 1)
        x = torch.cat([x, self.c(f.hardswish(self.norm(x)))], 1)
        gate = torch.sigmoid(self.excite(f.relu(self.squeeze(x.mean((2, 3))))))
        return self.last(f.adaptive_avg_pool2d(x * gate[..., None, None], 2).flatten(1))


def blocks_of_channels() -> nn.Module:
    """Group normalisation, a depthwise convolution and one in four blocks, then flattened."""
    layers = [
        nn.Conv2d(3, 8, 3),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 12, 1, groups=4),
    ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(12 * 16, 5))
