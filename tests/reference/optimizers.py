#!/usr/bin/python3
"""Trajectories of torch.optim's SGD, Adam and AdamW, for tests/builtin/optimizer_test.cpp.

Six parameters w start at START; the gradient at step t is w * SCALE + 0.1 * (t + 1), and hyperparameters change
in mid-course. Prints the header tests/builtin/optimizer_trajectories.h. Needs python3-torch.
"""
import torch

START = [0.5, -1.25, 2.0, -0.1, 3.0, 0.75]
SCALE = [1.0, 0.5, -0.25, 2.0, 0.1, -1.5]
STEPS = 8
CHANGE = 5  # the step from which the changed hyperparameters hold

CASES = [
    ("sgd", torch.optim.SGD, {"lr": 0.1}, {}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}, {"momentum": 0.5, "lr": 0.05}),
    ("sgd", torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {"weight_decay": 0.1}),
    ("adam", torch.optim.Adam, {"lr": 0.01}, {"lr": 0.1}),
    ("adam", torch.optim.Adam, {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-4, "weight_decay": 0.1}, {"betas": (0.9, 0.9)}),
    ("adamw", torch.optim.AdamW, {"lr": 0.01}, {"eps": 1e-3}),
    ("adamw", torch.optim.AdamW, {"lr": 0.05, "weight_decay": 0.3}, {"weight_decay": 0.0}),
]


def flattened(options):
    """The options by the names of the catalog."""
    flat = dict(options)
    if "betas" in flat:
        flat["beta1"], flat["beta2"] = flat.pop("betas")
    return flat


def trajectory(make, options, change):
    w = torch.nn.Parameter(torch.tensor(START))
    optimizer = make([w], **options)
    for t in range(STEPS):
        if t == CHANGE:
            optimizer.param_groups[0].update(change)
        w.grad = w.detach() * torch.tensor(SCALE) + 0.1 * (t + 1)
        optimizer.step()
    return w.detach().tolist()


def cpp(value):
    return str(value).lower() if isinstance(value, bool) else repr(float(value))


def settings(options):
    return "{%s}" % ", ".join('{"%s", %s}' % (name, cpp(value)) for name, value in options.items())


def main():
    print("// Made by tests/reference/optimizers.py with PyTorch %s." % torch.__version__)
    print("#pragma once\n\n#include <array>\n#include <map>\n#include <string>\n#include <vector>\n")
    print('#include "perturb/core/value.h"\n\nnamespace perturb {\n')
    print("inline constexpr std::array kStart = {%s};" % ", ".join("%rF" % x for x in START))
    print("inline constexpr std::array kScale = {%s};" % ", ".join("%rF" % x for x in SCALE))
    print("inline constexpr int kSteps = %d;\ninline constexpr int kChange = %d;\n" % (STEPS, CHANGE))
    print("struct Trajectory {\n  std::string optimizer;\n  std::map<std::string, Value> options;\n"
          "  std::map<std::string, Value> change;  ///< from step kChange on\n  std::vector<float> end;\n};\n")
    print("inline const std::vector<Trajectory> kTrajectories = {")
    for name, make, options, change in CASES:
        end = ", ".join("%.9gF" % x for x in trajectory(make, options, change))
        print('    {"%s",\n     %s,\n     %s,\n     {%s}},' % (
            name, settings(flattened(options)), settings(flattened(change)), end))
    print("};\n\n}  // namespace perturb")


if __name__ == "__main__":
    main()
