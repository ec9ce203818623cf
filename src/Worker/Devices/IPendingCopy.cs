namespace TensorParallel.Worker.Devices;

/// <summary>
/// A copy to the host that is done when all work issued before it is done. Used by the device's thread.
/// </summary>
internal interface IPendingCopy
{
    /// <summary>Whether <see cref="Read"/> would return at once; also true when the device has failed, which Read tells.</summary>
    bool IsDone { get; }

    /// <summary>Returns when it is done or the device has failed.</summary>
    void Wait();

    /// <summary>Waits, then gives the bytes, which stay valid. Throws what went wrong on the device.</summary>
    ReadOnlySpan<byte> Read();
}
