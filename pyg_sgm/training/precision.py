"""Which precision a training takes where it is free to choose."""

import torch

AUTO = "auto"
BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # a processor without them is slower in bfloat16


def chosen_precision(precision: str, accelerator: str = "auto") -> str:
    """The precision itself, or for ``"auto"`` the faster one: ``"bf16-mixed"`` on cards and
    processors that multiply bfloat16, else ``"32-true"``.

    Args:
        precision (str): As Lightning names it, or ``"auto"``.
        accelerator (str, optional): As Lightning names it. (default: :obj:`"auto"`)

    Example:
        >>> chosen_precision("32-true")
        '32-true'
    """
    if precision != AUTO:
        return precision
    if accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Older versions of torch do not tell.
        tell = getattr(torch.cpu, "get_capabilities", dict)
        known: dict[str, object] = tell()
        fast = any(known.get(name) for name in BF16_INSTRUCTIONS)
    return "bf16-mixed" if fast else "32-true"
