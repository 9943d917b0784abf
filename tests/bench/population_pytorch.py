"""What a user would write: networks 4-16-3 in plain PyTorch, one after the other.

usage: population_pytorch.py NETWORKS EPOCHS
"""
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
torch.manual_seed(0)
# As many rows as iris has to train on; what they say takes no time.
rows = DataLoader(TensorDataset(torch.randn(120, 4), torch.randint(0, 3, (120,))), batch_size=16, shuffle=True)
loss_of = nn.CrossEntropyLoss()
for _ in range(int(sys.argv[1])):
    network = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(int(sys.argv[2])):
        for inputs, targets in rows:
            optimizer.zero_grad()
            loss_of(network(inputs), targets).backward()
            optimizer.step()
