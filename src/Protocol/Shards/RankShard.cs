namespace TensorParallel.Protocol.Shards;

/// <summary>One rank's file of a shard set.</summary>
/// <param name="File">Plain file name inside the set's folder.</param>
/// <param name="Bytes">Size.</param>
/// <param name="Header">Hash of everything before its data.</param>
/// <param name="Tensors">What it holds, in the order in which it lies in the file.</param>
public sealed record RankShard(string File, long Bytes, UInt128 Header, IReadOnlyList<ShardTensor> Tensors);
