namespace TensorParallel.Worker.Devices;

/// <summary>A copy that was done when it was asked for.</summary>
/// <param name="bytes">What was copied.</param>
internal sealed class FinishedCopy(byte[] bytes) : IPendingCopy
{
    public bool IsDone => true;

    public void Wait()
    {
    }

    public ReadOnlySpan<byte> Read() => bytes;
}
