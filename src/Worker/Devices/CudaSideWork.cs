using static TensorParallel.Worker.Native.CudaDriver;

namespace TensorParallel.Worker.Devices;

/// <summary>A stream of high priority beside the device's own; points and ends are events.</summary>
internal sealed unsafe class CudaSideWork : ISideWork
{
    private readonly CudaDevice _device;
    private readonly nint[] _points;
    private readonly nint[] _ends;
    private readonly int _spared;
    private nint _stream;

    /// <summary>Makes stream and events.</summary>
    /// <param name="device">The device.</param>
    /// <param name="parts">Parts that a step is divided into.</param>
    /// <param name="spared">Multiprocessors that products leave to what is done beside.</param>
    public CudaSideWork(CudaDevice device, int parts, int spared)
    {
        (_device, _spared) = (device, spared);
        (_points, _ends) = (new nint[parts], new nint[parts]);
        device.MakeCurrent();
        try
        {
            int least, greatest;
            Check(cuCtxGetStreamPriorityRange(&least, &greatest));
            nint stream;
            Check(cuStreamCreateWithPriority(&stream, CU_STREAM_NON_BLOCKING, greatest));
            _stream = stream;
            for (var part = 0; part < parts; part++)
            {
                _points[part] = NewEvent();
                _ends[part] = NewEvent();
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public void Begin() => _device.SparedMultiprocessors = _spared;

    public void End() => _device.SparedMultiprocessors = 0;

    public void Note(int part)
    {
        _device.MakeCurrent();
        Check(cuEventRecord(_points[part], _device.Stream));
    }

    public void Run(int part, Action issue)
    {
        _device.MakeCurrent();
        Check(cuStreamWaitEvent(_stream, _points[part], 0));
        _device.IssueBeside(_stream, issue);
        Check(cuEventRecord(_ends[part], _stream));
    }

    public void Await(int part) => _device.AwaitEvent(_ends[part]);

    public void Dispose()
    {
        if (_stream == 0)
        {
            return;
        }

        _device.MakeCurrent();
        Check(cuStreamSynchronize(_stream)); // what it reads and writes may go next
        foreach (var handle in _points.Concat(_ends).Where(handle => handle != 0))
        {
            Check(cuEventDestroy(handle));
        }

        Check(cuStreamDestroy(_stream));
        _stream = 0;
    }

    private static nint NewEvent()
    {
        nint created;
        Check(cuEventCreate(&created, CU_EVENT_DISABLE_TIMING));
        return created;
    }
}
