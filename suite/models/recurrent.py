"""torch's LSTM (Hochreiter and Schmidhuber 1997) as a sequence classifier, between the encoder and the decoder."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from suite.config.run_config import RunConfig
from suite.errors import UserError
from suite.models.backbone import Backbone, Layer


class LSTM(Backbone):
    """`model.layers` LSTM layers of `model.features` units (both directions together, if bidirectional)."""

    def make_blocks(self, config: RunConfig, length: int, layer: Layer) -> Iterator[nn.Module]:
        """Raises UserError if the features cannot be divided between two directions."""
        model = config.model
        if model.bidirectional and model.features % 2:
            raise UserError(f"{model.features} features cannot be divided between two directions", "model.features",
                            "write an even number")
        yield Recurrence(model.features, model.layers, model.bidirectional, model.dropout)


class Recurrence(nn.Module):
    """LSTM layers. Neither direction sees padding."""

    def __init__(self, features: int, layers: int, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, features // 2 if bidirectional else features, layers, batch_first=True,
                            bidirectional=bidirectional, dropout=dropout if layers > 1 else 0.0)

    def forward(self, x: Tensor, valid: Tensor | None = None, rate: float = 1.0) -> Tensor:
        """(batch, length, features) to the same, with zeros at padding. `rate` is ignored."""
        if valid is None:
            y: Tensor = self.lstm(x)[0]
            return y
        lengths = valid.squeeze(-1).sum(dim=1).long().cpu()
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
