namespace TensorParallel.Coordinator.Text.Patterns;

/// <summary>The UTF-16 units [Start, End) of a text, and whether the pattern matched them.</summary>
internal readonly record struct TextSpan(int Start, int End, bool IsMatch);
