namespace TensorParallel.Worker.Devices;

/// <summary>Repeated work of devices that record nothing: it is issued every time.</summary>
internal sealed class ImmediateWork : IRepeatedWork
{
    public bool PrefersFewKeys => false;

    public bool Run(object key, Action issue)
    {
        issue();
        return false;
    }

    public void Dispose()
    {
    }
}
