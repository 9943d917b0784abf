#!/usr/bin/python3
"""State dicts as PyTorch writes them, and what the networks compute: tests/core/state_dicts.

    tests/reference/state_dicts.py tests/core/state_dicts

Weights are noise(i, p), i the element and p the tensor's place: without much structure, exact in every
language, and small once compressed. expected.json has the mean losses in double precision over the
examples of data.csv, and over 24 images whose pixel k of image n is (n * 131 + k * k * 7 + k) % 256
and whose class is n % 10. Needs python3-torch and python3-torchvision.
"""
import collections
import json
import lzma
import pathlib
import sys

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

IMAGES, SIDE, CLASSES = 24, 28, 10


def noise(place, shape):
    """In [-1, 1]."""
    i = torch.arange(torch.Size(shape).numel())
    return ((i * i * 37 + i * 101 + place * 61) % 1009).double().div(504).sub(1).view(shape)


def fill(model):
    """Values that a network may have: activations stay of the order of 1."""
    with torch.no_grad():
        for place, (name, tensor) in enumerate(model.state_dict().items()):
            if name.endswith("num_batches_tracked"):
                tensor.fill_(7)
            elif name.endswith("running_var") or (tensor.dim() == 1 and name.endswith("weight")):
                tensor.copy_(1 + noise(place, tensor.shape) / 4)
            elif tensor.dim() == 1:
                tensor.copy_(noise(place, tensor.shape) / 4)
            else:
                tensor.copy_(noise(place, tensor.shape) * (3 / tensor[0].numel()) ** 0.5)
    return model.eval()


def mlp():
    return fill(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))


class ResNet20(nn.Module):
    """Of torchvision's blocks; one channel goes in."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = 16
        for stage, width in enumerate((16, 32, 64), 1):
            blocks = []
            for _ in range(3):
                stride, downsample = 1, None
                if width != channels:
                    stride = 2
                    downsample = nn.Sequential(nn.Conv2d(channels, width, 1, 2, bias=False), nn.BatchNorm2d(width))
                blocks.append(BasicBlock(channels, width, stride, downsample))
                channels = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.fc = nn.Linear(64, CLASSES)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def table():
    """Features and classes, as data.csv has them."""
    features = noise(3, (30, 4)).mul(2).float().mul(1000).round().div(1000)
    return features.double(), torch.arange(30) % 3


def images():
    n = torch.arange(IMAGES).view(-1, 1)
    k = torch.arange(SIDE * SIDE).view(1, -1)
    pixels = (n * 131 + k * k * 7 + k) % 256
    return (pixels.float() / 255).double().view(IMAGES, 1, SIDE, SIDE), torch.arange(IMAGES) % CLASSES


def loss(model, data):
    inputs, targets = data
    with torch.no_grad():
        return nn.functional.cross_entropy(model.double()(inputs), targets).item()


def main(folder):
    network = mlp()
    torch.save(network.state_dict(), folder / "mlp.pt")
    torch.save(network.state_dict(), folder / "protocol4.pt", pickle_protocol=4)
    torch.save(nn.DataParallel(network).state_dict(), folder / "parallel.pt")
    torch.save(network.state_dict(), folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(network, folder / "whole_model.pt")
    torch.jit.script(network).save(str(folder / "script.pt"))
    # Kinds of tensors: views of one storage, transposed, other types, a parameter, none at all.
    base = torch.arange(12, dtype=torch.float32).view(3, 4)
    torch.save(collections.OrderedDict(
        whole=base, row=base[1], transposed=base.t(), every_other=base[:, ::2], scalar=torch.tensor(2.5),
        empty=torch.zeros(0, 3), half=base[0].half(), brain=base[0].bfloat16(), double=base[0].double(),
        long=torch.tensor([-1, 2]), flag=torch.tensor([True, False]), byte=torch.tensor([7], dtype=torch.uint8),
        parameter=nn.Parameter(base[2].clone())), folder / "kinds.pt")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    nn.functional.cross_entropy(network(table()[0].float()), table()[1]).backward()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer.step()
    torch.save({"epoch": 3, "model": state, "optimizer": optimizer.state_dict(), "best": 0.5},
               folder / "checkpoint.pt")

    residual = fill(ResNet20()).to(memory_format=torch.channels_last)
    path = folder / "resnet20.pt"
    torch.save(residual.state_dict(), path)
    (folder / "resnet20.pt.xz").write_bytes(lzma.compress(path.read_bytes(), preset=9))
    path.unlink()

    features, classes = table()
    with open(folder / "data.csv", "w", encoding="utf-8") as out:
        out.write("a,b,c,d,class\n")
        for row, label in zip(features.tolist(), classes.tolist()):
            out.write(",".join(f"{x:.3f}" for x in row) + f",{label}\n")
    expected = {"mlp": loss(mlp(), (features, classes)), "resnet20": loss(residual, images())}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
