namespace TensorParallel.Coordinator.Sharding;

/// <summary>A shard set could not be made; nothing of it is left. One sentence for the user.</summary>
internal sealed class ShardRunException(string message, Exception? innerException = null) : Exception(message, innerException);
