namespace TensorParallel.Worker.Loading.Shards;

/// <summary>A shard set cannot be written: one sentence with the file, the cause and what to do.</summary>
internal sealed class ShardException(string message, Exception? innerException = null) : Exception(message, innerException);
