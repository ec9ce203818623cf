using System.Globalization;
using TensorParallel.Worker.Native;

namespace TensorParallel.Worker.Devices;

/// <content>Work beside the device's own order.</content>
internal sealed unsafe partial class CudaDevice
{
    /// <summary>How many multiprocessors products leave to work beside them.</summary>
    internal const string SparedVariable = "TP_CUDA_SPARED";

    // As many as blocks of a divided sum beside products (PeerRowCalls), two on each.
    private const int MostSpared = 16;

    private readonly nint _own;
    private nint _beside;

    /// <summary>The stream that operations go to: the device's own, or the one beside it while something is issued there.</summary>
    public nint Stream => _beside != 0 ? _beside : _own;

    /// <summary>Whether what is issued now runs beside the device's own operations.</summary>
    public bool IsBeside => _beside != 0;

    /// <summary>Multiprocessors that products do not take; 0: none runs beside them.</summary>
    public int SparedMultiprocessors { get; internal set; }

    public ISideWork OpenSideWork(int parts)
    {
        var spared = Environment.GetEnvironmentVariable(SparedVariable) is not { Length: > 0 } given ? MostSpared
            : int.TryParse(given, CultureInfo.InvariantCulture, out var number) && number > 0 && number < Multiprocessors ? number
            : throw new NativeException($"{SparedVariable} must be a number from 1 to {Multiprocessors - 1}, but is \"{given}\".");
        return new CudaSideWork(this, parts, spared);
    }

    /// <summary>Issues operations to another stream, which has been told to wait for something.</summary>
    internal void IssueBeside(nint stream, Action issue)
    {
        var isHeld = _isHeld;
        (_beside, _isHeld) = (stream, true);
        try
        {
            issue();
        }
        finally
        {
            (_beside, _isHeld) = (0, isHeld);
        }
    }
}
