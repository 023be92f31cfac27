"""PyTorch's side of the training-step bench: times what it is told to, one request a line.

usage: train_step.py THREADS DEVICE [tf32]

A request is a JSON object on standard input, the answer one on standard output:

  {"network": {"side": 28, "channels": 1, "features": [32, 64, 256], "kernels": [3, 3, 3], "dense": 256},
   "batch": 128, "part": "step"}            ->  {"ms": 231.0}

Parts: "step" (forward, loss, backward, RMSprop), "conv1" ... "conv3", "norm1" ... "norm3" (batch norm,
bounded ReLU and 2x2 max-pool), "dense"; all forward and backward. The first request for a part
prepares it; every request runs it once after that. Milliseconds are the processor's, or on a GPU the
clock's until it is done. There, `tf32` lets products round their factors; without, neither matrix
products nor convolutions do.
"""

import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SHARPNESS_WIDTH = 1.001
OUTPUTS = 100
CLASSES = 10


def bounded_relu(x):
    return ((x - 0.5) / SHARPNESS_WIDTH + 0.5).clamp(0, 1)


class Whetstone(nn.Module):
    """Three convolutions with pools, a dense layer, an output layer that votes for classes."""

    def __init__(self, side, channels, features, kernels, dense):
        super().__init__()
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for outputs, kernel in zip(features, kernels):
            self.convolutions.append(nn.Conv2d(channels, outputs, kernel, padding=kernel // 2, bias=False))
            self.norms.append(nn.BatchNorm2d(outputs, eps=1e-3))
            channels, side = outputs, side // 2
        self.dense = nn.Linear(channels * side * side, dense, bias=False)
        self.dense_norm = nn.BatchNorm1d(dense, eps=1e-3)
        self.output = nn.Linear(dense, OUTPUTS, bias=False)
        self.output_norm = nn.BatchNorm1d(OUTPUTS, eps=1e-3)

    def forward(self, x):
        for convolution, norm in zip(self.convolutions, self.norms):
            x = F.max_pool2d(bounded_relu(norm(convolution(x))), 2)
        x = bounded_relu(self.dense_norm(self.dense(x.flatten(1))))
        x = bounded_relu(self.output_norm(self.output(x)))
        votes = (2 * x - 1).view(-1, CLASSES, OUTPUTS // CLASSES).sum(2)
        return 2 * votes - votes.sum(1, keepdim=True)


def prepare(network, batch, part, device):
    side, channels = network["side"], network["channels"]
    if part == "step":
        model = Whetstone(**network).to(device)
        optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9)
        x = torch.rand(batch, channels, side, side, device=device)
        labels = torch.arange(batch, device=device) % CLASSES

        def step():
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x), labels).backward()
            optimizer.step()

        return step
    if part == "dense":
        inputs = network["features"][-1] * (side // 8) ** 2
        layer = nn.Linear(inputs, network["dense"], bias=False).to(device)
        x = torch.rand(batch, inputs, requires_grad=True, device=device)
        return backward_of(lambda: layer(x))
    layer = int(part[-1]) - 1
    features, kernel = network["features"][layer], network["kernels"][layer]
    inputs = channels if layer == 0 else network["features"][layer - 1]
    side //= 2**layer
    if part.startswith("conv"):
        convolution = nn.Conv2d(inputs, features, kernel, padding=kernel // 2, bias=False).to(device)
        x = torch.rand(batch, inputs, side, side, requires_grad=layer > 0, device=device)
        return backward_of(lambda: convolution(x))
    norm = nn.BatchNorm2d(features, eps=1e-3).to(device)
    x = torch.rand(batch, features, side, side, requires_grad=True, device=device)
    return backward_of(lambda: F.max_pool2d(bounded_relu(norm(x)), 2))


def backward_of(forward):
    gradient = torch.ones_like(forward())
    return lambda: forward().backward(gradient)


def clocked(run, device):
    if device == "cpu":
        before = time.process_time()
        run()
        return time.process_time() - before
    before = time.perf_counter()
    run()
    torch.cuda.synchronize(device)
    return time.perf_counter() - before


def main():
    threads, device, *tf32 = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32 == ["tf32"]
    prepared = {}
    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        if line not in prepared:
            prepared = {line: prepare(**json.loads(line), device=device)}
            clocked(prepared[line], device)
        print(json.dumps({"ms": 1e3 * clocked(prepared[line], device)}), flush=True)


main()
