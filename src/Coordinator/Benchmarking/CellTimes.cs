namespace TensorParallel.Coordinator.Benchmarking;

/// <summary>Times of one run of a cell.</summary>
/// <param name="FirstToken">From submission until every sequence has its first token.</param>
/// <param name="Decode">From then on, for one token of every sequence; null where a single token was asked for.</param>
internal readonly record struct CellTimes(TimeSpan FirstToken, TimeSpan? Decode);
