namespace TensorParallel.Coordinator.Text.Added;

/// <summary>A token that is found in text before anything else happens to it.</summary>
/// <param name="Id">Its id: the model vocabulary's where that has the same text.</param>
/// <param name="Content">Its text, never empty.</param>
/// <param name="SingleWord">Matches only between non-word characters.</param>
/// <param name="LeftStrip">Swallows white space before it.</param>
/// <param name="RightStrip">Swallows white space behind it.</param>
/// <param name="Normalized">Is looked for in normalized text, by its own normalized text.</param>
/// <param name="Special">Left out when decoding skips special tokens.</param>
internal sealed record AddedToken(
    int Id, string Content, bool SingleWord, bool LeftStrip, bool RightStrip, bool Normalized, bool Special);
