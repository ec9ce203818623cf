namespace TensorParallel.Coordinator.Text.Added;

/// <summary>A stretch of text: an added token with its id, or (TokenId null) text in between.</summary>
internal readonly record struct TextSection(int? TokenId, int Start, int End);
