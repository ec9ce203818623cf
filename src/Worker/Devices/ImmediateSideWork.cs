namespace TensorParallel.Worker.Devices;

/// <summary>Where operations are done when they return, everything noted is done, and so is everything awaited.</summary>
internal sealed class ImmediateSideWork : ISideWork
{
    public void Begin()
    {
    }

    public void End()
    {
    }

    public void Note(int part)
    {
    }

    public void Run(int part, Action issue) => issue();

    public void Await(int part)
    {
    }

    public void Dispose()
    {
    }
}
