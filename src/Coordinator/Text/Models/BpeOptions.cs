namespace TensorParallel.Coordinator.Text.Models;

/// <summary>The switches of a byte-pair model.</summary>
/// <param name="IgnoreMerges">A word that is a token is that token, even if no merges lead there.</param>
/// <param name="ByteFallback">A character without a token becomes the tokens &lt;0xE2&gt; … of its UTF-8 bytes.</param>
/// <param name="FuseUnknown">Neighbouring unknown characters are one unknown token.</param>
/// <param name="UnknownId">The token for unknown characters; null: they vanish.</param>
internal sealed record BpeOptions(bool IgnoreMerges, bool ByteFallback, bool FuseUnknown, int? UnknownId);
