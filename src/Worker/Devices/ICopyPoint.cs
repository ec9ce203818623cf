namespace TensorParallel.Worker.Devices;

/// <summary>A point in a queue of copies. Used by the queue's thread, except <see cref="Wait"/>.</summary>
internal interface ICopyPoint : IDisposable
{
    /// <summary>Sets it after everything queued so far.</summary>
    void Set();

    /// <summary>What is issued on the device from now on begins when the point, as it was last set, is reached.</summary>
    void HoldDevice();

    /// <summary>Returns when it is reached. Any thread, not while it is set anew.</summary>
    void Wait();
}
