"""The semantic paths of text graphs (SGM, section 3.2)."""

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.utils import cumsum


def triplet_paths(batch: HeteroData) -> tuple[Tensor, Tensor]:
    """The semantic paths of text graphs: the words of each triplet in the order subject,
    predicate, object.

    Returns:
        The word indices of all paths one after another, ``[num_steps]``, and the boundaries of the
        paths, ``[num_relations + 1]``.
    """
    nodes, relations = batch["object"], batch["relation"]
    subject = batch["object", "subject_of", "relation"].edge_index[0]
    object = batch["relation", "has_object", "object"].edge_index[1]
    words = torch.cat([nodes.token, relations.token])
    node_start = nodes.length.cumsum(0) - nodes.length
    relation_start = relations.length.cumsum(0) - relations.length + nodes.token.numel()
    start = torch.stack([node_start[subject], relation_start, node_start[object]], dim=1)
    length = torch.stack([nodes.length[subject], relations.length, nodes.length[object]], dim=1)
    ptr = cumsum(length.sum(dim=1))
    flat = length.flatten()  # [num_relations * 3], of the parts of the paths
    shift = start.flatten() - (flat.cumsum(0) - flat)
    total = int(ptr[-1])  # the number of steps is known on the host from here on
    rows = torch.arange(total, device=ptr.device) + shift.repeat_interleave(flat, output_size=total)
    return words[rows], ptr
