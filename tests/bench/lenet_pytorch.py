#!/usr/bin/python3
"""The baseline: LeNet-5 on Fashion-MNIST as an ordinary PyTorch script, with torchvision's Dataset and DataLoader.

Prints one JSON object. Needs python3-torch, python3-torchvision, an optimised BLAS (libopenblas0-openmp) and the IDX
files of dataset-fashion-mnist, or of a directory given on the command line.
"""
import argparse
import gzip
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

START = time.perf_counter()

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import FashionMNIST
from torchvision.transforms import ToTensor


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", nargs="?", default="/usr/share/datasets/fashion-mnist",
                        help="folder of the four IDX files, plain or .gz")
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate", choices=["none", "test", "both"], default="test",
                        help="what to evaluate after every epoch")
    parser.add_argument("--profile", action="store_true", help="time the network's part of the training loop as well")
    return parser.parse_args()


def blas_library():
    """The BLAS this process has mapped: 'BLAS_INFO=generic' of torch's own description says nothing."""
    maps = Path("/proc/self/maps").read_text()
    found = {os.path.realpath(path) for path in re.findall(r"/\S*(?:blas|mkl_rt|blis)\S*\.so\S*", maps)}
    return sorted(found)


def torchvision_layout(directory, root):
    """Lay the files out as torchvision expects them: ROOT/FashionMNIST/raw/NAME, uncompressed."""
    raw = Path(root, "FashionMNIST", "raw")
    raw.mkdir(parents=True)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                 "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        plain = Path(directory, name)
        if plain.exists():
            (raw / name).symlink_to(plain.resolve())
        else:
            with gzip.open(plain.with_name(name + ".gz")) as source, open(raw / name, "wb") as target:
                shutil.copyfileobj(source, target)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(),
        nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10))


def train(model, loader, optimizer, profile):
    """One epoch; the seconds inside forward, backward and step, if they are asked for."""
    network = 0.0
    model.train()
    for images, labels in loader:
        begin = time.perf_counter() if profile else 0.0
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        if profile:
            network += time.perf_counter() - begin
    return network


def evaluate(model, loader):
    loss, correct = 0.0, 0
    model.eval()
    with torch.no_grad():
        for images, labels in loader:
            output = model(images)
            loss += nn.functional.cross_entropy(output, labels, reduction="sum").item()
            correct += (output.argmax(1) == labels).sum().item()
    return {"loss": loss / len(loader.dataset), "accuracy": correct / len(loader.dataset)}


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    imported = time.perf_counter()

    with tempfile.TemporaryDirectory() as root:
        torchvision_layout(options.directory, root)
        train_set = FashionMNIST(root, train=True, transform=ToTensor())
        test_set = FashionMNIST(root, train=False, transform=ToTensor())
    train_loader = DataLoader(train_set, batch_size=options.batch_size, shuffle=True)
    train_evaluation_loader = DataLoader(train_set, batch_size=options.batch_size)
    test_loader = DataLoader(test_set, batch_size=options.batch_size)
    model = lenet()
    optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
    loaded = time.perf_counter()

    epochs = []
    for _ in range(options.epochs):
        begin = time.perf_counter()
        network = train(model, train_loader, optimizer, options.profile)
        trained = time.perf_counter()
        epoch = {"train_seconds": trained - begin}
        if options.profile:
            epoch["network_seconds"] = network
        if options.evaluate != "none":
            epoch["test"] = evaluate(model, test_loader)
        if options.evaluate == "both":
            epoch["train"] = evaluate(model, train_evaluation_loader)
        epoch["evaluate_seconds"] = time.perf_counter() - trained
        epoch["seconds"] = time.perf_counter() - begin
        epochs.append(epoch)

    libraries = blas_library()
    if not any(re.search("openblas|mkl|blis", library) for library in libraries):
        print("warning: reference BLAS in use; timings mean nothing. Install libopenblas0-openmp.", file=sys.stderr)
    json.dump({
        "options": vars(options),
        "torch": torch.__version__,
        "blas": libraries,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "import_seconds": imported - START,
        "load_seconds": loaded - imported,
        "epochs": epochs,
        "seconds": sum(epoch["seconds"] for epoch in epochs),
        "process_seconds": time.perf_counter() - START,
    }, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
