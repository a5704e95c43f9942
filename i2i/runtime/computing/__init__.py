"""What computes the graph of a model: backends, onnxruntime first of them, and the choice among them."""
