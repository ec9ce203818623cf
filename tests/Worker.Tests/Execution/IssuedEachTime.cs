using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>Work rounded up as for recording, but issued every time: what recordings are compared with.</summary>
internal sealed class IssuedEachTime : IRepeatedWork
{
    public bool PrefersFewKeys => true;

    public bool Run(object key, Action issue)
    {
        issue();
        return false;
    }

    public void Dispose()
    {
    }
}
