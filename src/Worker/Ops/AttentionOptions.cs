namespace TensorParallel.Worker.Ops;

/// <summary>Constants of one attention layer.</summary>
/// <param name="Scale">Factor on q·k.</param>
/// <param name="SlidingWindow">Row at position p sees positions p − window + 1 … p; null: all up to p.</param>
/// <param name="LogitSoftCap">c: scores become c · tanh(score / c) before the softmax; null: none.</param>
internal readonly record struct AttentionOptions(float Scale, int? SlidingWindow = null, float? LogitSoftCap = null);
