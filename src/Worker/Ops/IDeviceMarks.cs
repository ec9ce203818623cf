namespace TensorParallel.Worker.Ops;

/// <summary>Points in a device's order of operations whose times are kept. Used by the thread that issues operations.</summary>
internal interface IDeviceMarks : IDisposable
{
    /// <summary>Sets a point after everything issued so far; returns its number, 0 for the first since <see cref="Clear"/>.</summary>
    int Mark();

    /// <summary>Waits for point <paramref name="to"/>, then gives the microseconds since <paramref name="from"/>.</summary>
    double Microseconds(int from, int to);

    /// <summary>Forgets all points; what they took is kept for the next ones.</summary>
    void Clear();

    /// <summary>
    /// Keeps a device that works by itself busy for about this long (at most 50 ms), so that what is issued meanwhile runs without
    /// waiting for the host. Does nothing where an operation is done when it returns.
    /// </summary>
    void Hold(TimeSpan duration);
}
