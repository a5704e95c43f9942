"""Running exported networks with onnxruntime: arrays in, arrays out. No image files, no torch."""
