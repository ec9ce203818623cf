using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>Work captured from a device's stream, replayed by one call. Dispose it before its device.</summary>
internal sealed unsafe class CudaGraph : IDisposable
{
    private readonly CudaDevice _device;
    private nint _executable;

    private CudaGraph(CudaDevice device, nint executable)
    {
        _device = device;
        _executable = executable;
    }

    /// <summary>
    /// Captures what <paramref name="issue"/> issues, without running it. It may not allocate, copy to or from the host, or wait;
    /// kernels it needs must be loaded already (issue the same work once before).
    /// </summary>
    public static CudaGraph Capture(CudaDevice device, Action issue)
    {
        device.MakeCurrent();
        Check(cuStreamBeginCapture(device.Stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
        nint graph = 0;
        device.IsCapturing = true;
        try
        {
            issue();
        }
        catch
        {
            // The capture is broken; ending it frees the stream, and its own failure says less than the exception under way.
            _ = cuStreamEndCapture(device.Stream, &graph);
            if (graph != 0)
            {
                _ = cuGraphDestroy(graph);
            }

            throw;
        }
        finally
        {
            device.IsCapturing = false;
        }

        Check(cuStreamEndCapture(device.Stream, &graph));
        try
        {
            nint executable;
            Check(cuGraphInstantiateWithFlags(&executable, graph, 0));
            return new CudaGraph(device, executable);
        }
        finally
        {
            Check(cuGraphDestroy(graph));
        }
    }

    /// <summary>Issues the captured work on the device's stream.</summary>
    public void Replay()
    {
        ObjectDisposedException.ThrowIf(_executable == 0, this);
        _device.MakeCurrent();
        Check(cuGraphLaunch(_executable, _device.Stream));
    }

    public void Dispose()
    {
        if (_executable != 0)
        {
            _device.MakeCurrent();
            Check(cuGraphExecDestroy(_executable));
            _executable = 0;
        }
    }
}
