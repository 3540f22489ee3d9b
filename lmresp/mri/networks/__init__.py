"""Neural networks run by onnxruntime on the CPU: one folder for each, with its weights, licence and origin."""
