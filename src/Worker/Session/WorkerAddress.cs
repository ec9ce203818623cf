namespace TensorParallel.Worker.Session;

/// <summary>Where the coordinator listens: <c>unix:/path/of/socket</c>.</summary>
/// <param name="SocketPath">Absolute path of the unix socket.</param>
internal sealed record WorkerAddress(string SocketPath)
{
    private const string UnixPrefix = "unix:";

    /// <summary>Reads an address; null when it is none.</summary>
    public static WorkerAddress? TryParse(string text) =>
        text.StartsWith(UnixPrefix, StringComparison.Ordinal) && Path.IsPathRooted(text[UnixPrefix.Length..])
            ? new WorkerAddress(text[UnixPrefix.Length..])
            : null;

    /// <inheritdoc/>
    public override string ToString() => UnixPrefix + SocketPath;
}
