namespace TensorParallel.Worker.Devices;

/// <summary>
/// Work that is given to a device again and again, with the same launches on the same memory each time. A device may record it
/// when it comes again and replay it from then on. Belongs to one thread; dispose it before what the work uses.
/// </summary>
internal interface IRepeatedWork : IDisposable
{
    /// <summary>
    /// Whether it pays to round sizes up so that few keys serve all work: a replay costs the host nothing, but each key is recorded
    /// once. Where every row costs time and nothing is replayed, it does not.
    /// </summary>
    bool PrefersFewKeys { get; }

    /// <summary>Does the work in the device's order; true if it was replayed, so that <paramref name="issue"/> did not run now.</summary>
    /// <param name="key">
    /// Equal for equal launches: everything in it that chooses a kernel, a launch shape or an argument; what the memory holds may change.
    /// </param>
    /// <param name="issue">
    /// Issues the work. It may run for a recording, which computes nothing, followed by a replay; it neither waits nor copies to or
    /// from the host.
    /// </param>
    bool Run(object key, Action issue);
}
