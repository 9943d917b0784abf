"""Images as PIL and torchvision change them: the numbers in tests/builtin/images_test.cpp.

Run with a Python that has torchvision (Debian: python3-torchvision).
"""

import numpy as np
import torch
from PIL import Image
from torchvision import transforms


def picture(height, width):
    """The same formula in the test."""
    i, j = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return ((37 * i * i + 11 * j * (i + 3) + (i * j) % 7 * 29) % 256).astype(np.uint8)


for size, side in ((32, 28), (9, 20)):
    resized = np.array(transforms.Resize((side, side))(Image.fromarray(picture(size, size))))
    print(f"{size} -> {side}")
    text = resized.tobytes().hex()
    print("\n".join(f'    "{text[k:k + 88]}"' for k in range(0, len(text), 88)))

image = torch.from_numpy(picture(4, 4).copy()).expand(3, 4, 4).float().div(255)
normalised = transforms.Normalize((.4914, .4822, .4465), (.2470, .2435, .2616))(image)
print([float(x) for x in normalised[:, 1, 2]])
