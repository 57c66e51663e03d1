from pathlib import Path

import torch

from fer_lightning.networks.mlp import MLP
from fer_lightning.sweeps.launching.memory import bytes_of_model, free_bytes
from fer_lightning.training.by_lightning.classifier import ExpressionClassifier
from fer_lightning.training.optim.optimizers import SGD, AdamW


def test_a_model_takes_its_weights_a_few_times_and_what_its_layers_pass_on():
    weights = 2304 * 3 + 3 + 3 * 7 + 7
    passed_on = 2304 + 2304 + 3 + 3 + 7  # the face, flattened, the units before and after ReLU
    for optimizer, copies in ((SGD(0.1), 5), (AdamW(0.1), 6)):
        expected = 4 * (copies * weights + 2 * 1000 * passed_on)
        assert (
            bytes_of_model(ExpressionClassifier(MLP((3,)), optimizer), batch_size=1000) == expected
        )


def test_half_of_what_is_free_may_be_taken():
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = 1024 * int(facts["MemFree"].split()[0])
    assert 0.3 * free < free_bytes(torch.device("cpu")) < 0.7 * free
