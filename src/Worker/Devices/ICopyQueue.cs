namespace TensorParallel.Worker.Devices;

/// <summary>
/// Copies to a device that run beside its operations, in the order queued. Used by the thread that issues the operations.
/// Nothing here waits but <see cref="ICopyPoint.Wait"/>, and on devices whose operations are done when they return
/// <see cref="ICopyPoint.HoldDevice"/>.
/// </summary>
internal interface ICopyQueue : IDisposable
{
    /// <summary>
    /// The operations issued so far are the last that read <paramref name="target"/>: what is queued from now on comes after them.
    /// A poisoning device fills it, so that whoever reads it too late is noticed.
    /// </summary>
    void Release(DeviceBuffer target);

    /// <summary>Queues a copy; both buffers are the device's, the source in host memory.</summary>
    void Copy(DeviceBuffer source, DeviceBuffer target, long bytes);

    /// <summary>A point that can be set again and again; the caller disposes it before the queue.</summary>
    ICopyPoint CreatePoint();
}
