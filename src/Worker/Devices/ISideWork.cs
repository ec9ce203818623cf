namespace TensorParallel.Worker.Devices;

/// <summary>
/// A second order of operations on a device, beside its own, for work that waits more than it computes: sums over ranks go on there while
/// the device multiplies something else. Rows of a step are divided into parts, each with a point to wait for and an end that is waited for.
/// Belongs to the device's thread; the caller disposes it before the device.
/// </summary>
internal interface ISideWork : IDisposable
{
    /// <summary>
    /// From here to <see cref="End"/> the device's own operations leave room for work beside them: a product that took every multiprocessor
    /// would hold it up until it had ended.
    /// </summary>
    void Begin();

    /// <summary>The device's own operations may take all of it again.</summary>
    void End();

    /// <summary>What is done beside for this part next waits for what has been issued in the device's own order so far.</summary>
    void Note(int part);

    /// <summary>
    /// Issues operations beside: they act behind the part's noted point and behind all that was issued beside before, in order.
    /// </summary>
    void Run(int part, Action issue);

    /// <summary>What the device's own order is given from now on waits for the work that was issued last for this part.</summary>
    void Await(int part);
}
