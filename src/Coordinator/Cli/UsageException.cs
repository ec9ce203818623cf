namespace TensorParallel.Coordinator.Cli;

/// <summary>The command line is wrong; the message is shown as it is and the exit code is 2.</summary>
internal sealed class UsageException(string message) : Exception(message);
