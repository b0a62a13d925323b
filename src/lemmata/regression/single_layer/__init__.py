"""Networks with one hidden layer, where the output weights are a linear problem given the rest."""

__all__: list[str] = []
