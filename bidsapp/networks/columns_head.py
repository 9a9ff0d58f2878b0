"""Columns of a table beside the pooled features: the last layer of a network takes both."""

import torch

from bidsapp.networks.blocks import LogitLinear


class ColumnsHead(LogitLinear):
    """A linear layer of the network's features and of what is known of the person beside.

    Its weights bear the names that they have without columns; they are wider.

    Parameters
    ----------
    features
        Of the network.
    columns
        Numbers of each person.
    outputs
        Of the network.
    """

    def __init__(self, features: int, columns: int, outputs: int) -> None:
        super().__init__(features + columns, outputs)
        self.columns = columns
        self._beside: torch.Tensor | None = None

    def take(self, beside: torch.Tensor) -> None:
        """Note the numbers of the people of the batch that is on its way, (B, columns)."""
        self._beside = beside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features (B, F) to outputs."""
        assert self._beside is not None, "the network was called without its columns"
        beside, self._beside = self._beside, None
        return super().forward(
            torch.cat([x.to(self.weight.dtype), beside.to(self.weight.dtype)], 1)
        )


def with_columns(network: torch.nn.Module, head: str, columns: int) -> torch.nn.Module:
    """Let a network take columns as channels behind those of its images, in place.

    A batch then has (B, C + columns, …): the last channels hold one number each at every voxel
    (`device_cohort.PerBatch` puts them there), so that whatever hands images to a network,
    explains them or covers parts of them, needs to know nothing of columns.

    Parameters
    ----------
    network
        With a linear head; its weights are drawn anew from torch's generator.
    head
        Dotted name of that layer.
    columns
        How many numbers; with 0 the network stays as it is.
    """
    if not columns:
        return network
    layer = network.get_submodule(head)
    assert isinstance(layer, torch.nn.Linear)
    wider = ColumnsHead(layer.in_features, columns, layer.out_features)
    network.set_submodule(head, wider)

    def split(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        (x,) = given
        wider.take(x[:, -columns:].float().flatten(2).mean(dim=2))
        order = torch.channels_last_3d if x.ndim == 5 else torch.channels_last
        return (x[:, :-columns].contiguous(memory_format=order),)

    network.register_forward_pre_hook(split, prepend=True)
    return network


def columns_of(network: torch.nn.Module) -> int:
    """Count the columns that a network takes beside its images."""
    return sum(m.columns for m in network.modules() if isinstance(m, ColumnsHead))
