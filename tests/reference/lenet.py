#!/usr/bin/python3
"""The outputs of LeNet-5 in PyTorch, for tests/builtin/models_test.cpp.

Element i of a parameter is sin(i + p) / sqrt(fan_in), p its place among the parameters; pixel i of the images is
(i mod 256) / 255. Prints the outputs, image by image. Needs python3-torch.
"""
import torch
from torch import nn

model = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))
fan_in = 0
with torch.no_grad():
    for place, parameter in enumerate(model.parameters()):
        if parameter.dim() > 1:
            fan_in = parameter[0].numel()
        values = torch.sin(torch.arange(parameter.numel(), dtype=torch.float64) + place) / fan_in ** 0.5
        parameter.copy_(values.view_as(parameter))
    images = (torch.arange(2 * 28 * 28) % 256).float().div(255).view(2, 1, 28, 28)
    for outputs in model(images):
        print(", ".join("%.8f" % x for x in outputs.tolist()))
