#!/usr/bin/python3
"""The baseline: the MLP 2352-256-128-10 trained with or without noise on its weights, then its accuracy and loss under
noise, as an ordinary PyTorch script with torchvision's Dataset and DataLoader; with --in-memory as one by somebody who
keeps all images as tensors.

Prints one JSON object. Needs python3-torch, python3-torchvision, an optimised BLAS and a folder of four IDX files.
"""
import argparse
import json
import sys
import tempfile
import time

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import FashionMNIST

from lenet_pytorch import torchvision_layout

STRENGTHS = (0, .01, .02, .05, .1, .2, .5)


class InMemory:
    """Batches of tensors that were made once."""

    def __init__(self, dataset, batch_size, shuffle=False):
        self.images = dataset.data.float().div(255)[:, None].expand(-1, 3, -1, -1)
        self.labels, self.batch_size, self.shuffle = dataset.targets, batch_size, shuffle
        self.dataset = dataset

    def __iter__(self):
        order = torch.randperm(len(self.labels)) if self.shuffle else torch.arange(len(self.labels))
        for numbers in order.split(self.batch_size):
            yield self.images[numbers], self.labels[numbers]


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 28 * 28, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))


class Noise:
    """W + N(0, (strength max(std(W), 1e-8))^2) inside a with-block, for every weight."""

    def __init__(self, model, strength):
        self.weights = [p for name, p in model.named_parameters() if name.endswith(".weight")]
        self.strength = strength

    def __enter__(self):
        with torch.no_grad():
            self.clean = [w.clone() for w in self.weights]
            for w in self.weights:
                w.add_(torch.randn_like(w) * (self.strength * max(w.std().item(), 1e-8)))

    def __exit__(self, *_):
        with torch.no_grad():
            for w, clean in zip(self.weights, self.clean):
                w.copy_(clean)


def train(model, loader, optimizer, strength):
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        if strength:
            with Noise(model, strength):
                nn.functional.cross_entropy(model(images), labels).backward()
        else:
            nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def evaluate(model, loader):
    loss, correct = 0.0, 0
    model.eval()
    with torch.no_grad():
        for images, labels in loader:
            output = model(images)
            loss += nn.functional.cross_entropy(output, labels, reduction="sum").item()
            correct += (output.argmax(1) == labels).sum().item()
    return loss / len(loader.dataset), correct / len(loader.dataset)


def sweep(model, loader, draws):
    rows = []
    for strength in STRENGTHS:
        scores = []
        for _ in range(draws if strength else 1):
            with Noise(model, strength):
                scores.append(evaluate(model, loader))
        rows.append([strength, *(sum(column) / len(scores) for column in zip(*scores))])
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--strength", type=float, default=0, help="of the noise in training")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--in-memory", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    to_colour = transforms.Compose([transforms.Grayscale(3), transforms.ToTensor()])
    with tempfile.TemporaryDirectory() as root:
        torchvision_layout(options.directory, root)
        train_set = FashionMNIST(root, train=True, transform=to_colour)
        test_set = FashionMNIST(root, train=False, transform=to_colour)
    loader = InMemory if options.in_memory else DataLoader
    train_loader = loader(train_set, batch_size=128, shuffle=True)
    test_loader = loader(test_set, batch_size=128)
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    begin = time.perf_counter()
    for _ in range(options.epochs):
        train(model, train_loader, optimizer, options.strength)
    trained = time.perf_counter()
    rows = sweep(model, test_loader, options.draws)
    json.dump({"train_seconds": trained - begin, "sweep_seconds": time.perf_counter() - trained, "sweep": rows}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
