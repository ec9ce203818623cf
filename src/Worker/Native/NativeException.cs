namespace TensorParallel.Worker.Native;

/// <summary>A call into a native library failed, or the library is missing; the message quotes the call or says what was tried.</summary>
internal sealed class NativeException(string message, int status = 0) : Exception(message)
{
    /// <summary>Status that the library returned; 0 where the library is missing.</summary>
    public int Status { get; } = status;
}
