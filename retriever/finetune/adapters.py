"""Which weights of the language model learn: all, those of the upper layers, or an adapter beside them."""

from torch import nn

from aisle.data.errors import InputError
from aisle.retriever.finetune.settings import FinetuneSettings


def prepare(model: nn.Module, settings: FinetuneSettings) -> nn.Module:
    """The model ready for training: with an adapter if asked for, frozen below, with the dropout wanted.

    Raises:
        InputError: the model has not that many layers, or cannot take such an adapter.
    """
    adapted = with_adapter(model, settings)
    freeze(adapted, settings.frozen_layers)
    if settings.dropout is not None:
        for module in adapted.modules():
            if isinstance(module, nn.Dropout):
                module.p = settings.dropout
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(  # type: ignore[operator]
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    return adapted


def with_adapter(model: nn.Module, settings: FinetuneSettings) -> nn.Module:
    """The model with an adapter in every linear layer; itself for `adapter = "none"`.

    A fresh adapter changes nothing: its product is 0, or its factors are 1.
    Sources: lora, Hu et al. 2021; dora, Liu et al. 2024; loha, Hyeon-Woo et al. 2022; lokr, Yeh et al. 2024;
    ia3, Liu et al. 2022.

    Raises:
        InputError: peft cannot put this adapter into this model.
    """
    if settings.adapter == "none":
        return model
    import peft

    rank, everywhere = settings.rank, "all-linear"
    configs: dict[str, peft.PeftConfig] = {
        "lora": peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=everywhere),
        "dora": peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=everywhere, use_dora=True),
        "loha": peft.LoHaConfig(r=rank, alpha=rank, target_modules=everywhere),
        "lokr": peft.LoKrConfig(r=rank, alpha=rank, target_modules=everywhere),
        "ia3": peft.IA3Config(target_modules=everywhere, feedforward_modules=[]),
    }
    try:
        return peft.get_peft_model(model, configs[settings.adapter])
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InputError(
            f"a language model that can take an adapter of kind {settings.adapter}",
            f"{type(model).__name__}: {str(error).splitlines()[0]}",
            'set retriever.finetune.adapter to "lora" or "none"',
        ) from error


def merged(model: nn.Module) -> nn.Module:
    """The model with its adapter, if any, added to its weights: the same vectors, without peft."""
    import peft

    if not isinstance(model, peft.PeftModel):
        return model
    plain: nn.Module = model.merge_and_unload()
    return plain


def freeze(model: nn.Module, layers: int, setting: str = "retriever.finetune.frozen_layers") -> None:
    """Keep the weights of the lowest `layers` and of all that is read before them, and of an unused pooler.

    Args:
        model: a transformer.
        layers: how many.
        setting: that says so, for errors.

    Raises:
        InputError: the model has not that many layers.
    """
    blocks = layers_of(model)
    if layers > len(blocks):
        raise InputError(
            f"at most {len(blocks)} frozen layers, which is what the language model has",
            f"{setting} = {layers}",
            "lower it",
        )
    for name, parameter in model.named_parameters():
        if ".pooler." in f".{name}":
            parameter.requires_grad = False
    if not layers:
        return
    last = {id(parameter) for parameter in blocks[layers - 1].parameters()}
    below = True
    for parameter in model.parameters():  # in the order of the forward pass: embeddings, then layers
        below = below or id(parameter) in last
        if below:
            parameter.requires_grad = False
        if id(parameter) in last:
            last.discard(id(parameter))
            below = bool(last)


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The transformer's layers."""
    depth = model.config.num_hidden_layers  # type: ignore[union-attr]
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise InputError(
        "a language model made of a list of layers",
        type(model).__name__,
        "set retriever.finetune.frozen_layers to 0",
    )
