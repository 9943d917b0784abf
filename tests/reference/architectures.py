#!/usr/bin/python3
"""What the built-in architectures compute in PyTorch, as tests/builtin/architecture_values.h.

Residual networks are put together from torchvision's blocks, transformers from
torch.nn.TransformerEncoderLayer. Weights are noise(i, p), i the element and p the parameter's place,
scaled by what the parameter is; images are noise, too. Computed in double precision. Prints the
header. Needs python3-torch and python3-torchvision.
"""
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

CLASSES = 10
BATCH = 2


def noise(place, shape):
    """In [-1, 1], without much structure, and exact in every language."""
    i = torch.arange(torch.Size(shape).numel())
    return ((i * i * 37 + i * 101 + place * 61) % 1009).double().div(504).sub(1).view(shape)


def mlp(side):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(),
                         nn.Linear(128, CLASSES))


def cnn(side):
    layers, channels = [], 3
    for out in (32, 64, 64):
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (side // 8) ** 2, CLASSES))


def resnet18(side):
    return torchvision.models.resnet18(num_classes=CLASSES)


def resnet18_cifar(side):
    model = resnet18(side)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


class PlainBlock(BasicBlock):
    def forward(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))


def narrow(block, blocks):
    def make(side):
        layers, channels = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
        for width in (16, 32, 64):
            for _ in range(blocks):
                stride, downsample = 1, None
                if width != channels:
                    stride = 2
                    if block is BasicBlock:
                        downsample = nn.Sequential(nn.Conv2d(channels, width, 1, 2, bias=False), nn.BatchNorm2d(width))
                layers.append(block(channels, width, stride, downsample))
                channels = width
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))

    return make


class VisionTransformer(nn.Module):
    def __init__(self, side, width, depth, heads, hidden):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, 1 + (side // 4) ** 2, width))
        self.blocks = nn.Sequential(*[
            nn.TransformerEncoderLayer(width, heads, hidden, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x):
        h = self.patches(x).flatten(2).transpose(1, 2)
        h = torch.cat([self.token.expand(len(x), -1, -1), h], 1) + self.positions
        return self.head(self.norm(self.blocks(h))[:, 0])

    def ordered(self):
        """Parameters in perturb's order: by the way through the network."""
        yield from (self.patches.weight, self.patches.bias, self.token, self.positions)
        for block in self.blocks:
            for layer in (block.norm1, block.self_attn, block.self_attn.out_proj, block.norm2, block.linear1,
                          block.linear2):
                names = ("in_proj_weight", "in_proj_bias") if layer is block.self_attn else ("weight", "bias")
                yield from (getattr(layer, name) for name in names)
        yield from (self.norm.weight, self.norm.bias, self.head.weight, self.head.bias)


def vit(width, depth, heads, hidden):
    return lambda side: VisionTransformer(side, width, depth, heads, hidden)


MODELS = [
    ("mlp-small", 28, mlp), ("cnn", 28, cnn), ("resnet18", 64, resnet18), ("resnet18-cifar", 32, resnet18_cifar),
    ("resnet20", 32, narrow(BasicBlock, 3)), ("resnet32", 32, narrow(BasicBlock, 5)),
    ("plainnet20", 32, narrow(PlainBlock, 3)), ("vit", 32, vit(192, 6, 3, 768)), ("vit-lite", 32, vit(256, 7, 4, 512))
]


def fill(model):
    norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm2d, nn.LayerNorm))]
    scales = {id(m.weight) for m in norms}
    embeddings = {id(p) for name, p in model.named_parameters() if name in ("token", "positions")}
    ordered = list(model.ordered() if isinstance(model, VisionTransformer) else model.parameters())
    assert len(ordered) == len(list(model.parameters()))
    for place, p in enumerate(ordered):
        values = noise(place, p.shape)
        if id(p) in embeddings:
            values = values / 2
        elif id(p) in scales:
            values = 1 + values / 2
        elif p.dim() == 1:
            values = values / 10
        else:
            values = values * (3 / p[0].numel()) ** 0.5
        p.copy_(values)
    place = 0
    for m in model.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.copy_(noise(place, m.running_mean.shape) / 5)
            m.running_var.copy_(1 + noise(place + 1, m.running_var.shape) / 2)
            place += 2


def statistics(model):
    """A number for each buffer, in which every element counts for itself."""
    buffers = [b for m in model.modules() if isinstance(m, nn.BatchNorm2d) for b in (m.running_mean, m.running_var)]
    return [(b * noise(place, b.shape)).sum() for place, b in enumerate(buffers)]


def floats(values, indent):
    lines, line = [], ""
    for value in values:
        text = "%.9gF" % value
        text = text if "." in text or "e" in text else text.replace("F", ".0F")
        if len(indent) + len(line) + len(text) + 2 > 98:
            lines.append(line.rstrip())
            line = ""
        line += text + ", "
    return ("\n" + indent).join(lines + [line.rstrip(", ")])


def main():
    torch.set_grad_enabled(False)
    print("// Made by tests/reference/architectures.py with PyTorch %s." % torch.__version__)
    print("#pragma once\n\n#include <cstdint>\n#include <string>\n#include <vector>\n\nnamespace perturb {\n")
    print("struct ArchitectureValues {\n  std::string model;\n  std::int64_t side;  ///< of the images, in pixels\n"
          "  std::vector<float> evaluation;  ///< outputs, image by image\n"
          "  /// Of networks with batch normalisation, a training pass over the same images: the outputs, and\n"
          "  /// of each buffer after it the sum of its elements, each times noise.\n"
          "  std::vector<float> training;\n  std::vector<float> statistics;\n};\n")
    print("inline const std::vector<ArchitectureValues> kArchitectures = {")
    for name, side, make in MODELS:
        model = make(side).double()
        fill(model)
        images = noise(0, (BATCH, 3, side, side))
        rows = [model.eval()(images).flatten(), [], []]
        if any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
            rows[1:] = [model.train()(images).flatten(), statistics(model)]
        print('    {"%s",\n     %d,\n     %s},' % (
            name, side, ",\n     ".join("{%s}" % floats(row, " " * 6) for row in rows)))
    print("};\n\n/// torchvision's.\ninline const std::vector<std::string> kResnet18Names = {")
    for name, _ in resnet18(0).named_parameters():
        print('    "%s",' % name)
    print("};\n\n}  // namespace perturb")


if __name__ == "__main__":
    main()
