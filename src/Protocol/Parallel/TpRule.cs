namespace TensorParallel.Protocol.Parallel;

/// <summary>One entry of a plan.</summary>
/// <param name="Key">What it names.</param>
/// <param name="Style">
/// How to cut that; null: the plan has a word there that is no style, which is reported already.
/// </param>
internal sealed record TpRule(TpKey Key, TpStyle? Style);
