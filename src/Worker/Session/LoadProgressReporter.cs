using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Worker.Session;

/// <summary>
/// Thins a loader's progress to about ten events a second; the last one (done = total) always goes out. Thread-safe.
/// </summary>
internal sealed class LoadProgressReporter(Action<WorkerEvent> post, TimeProvider time)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private long _sentAt;
    private long _sentBytes = -1;

    /// <summary>Tells bytes done; values that go back (loader threads overtake one another) are dropped.</summary>
    public void Report(long bytesDone, long bytesTotal)
    {
        lock (_gate)
        {
            var due = _sentBytes < 0 || bytesDone >= bytesTotal || time.GetElapsedTime(_sentAt) >= s_interval;
            if (!due || bytesDone <= _sentBytes)
            {
                return;
            }

            _sentAt = time.GetTimestamp();
            _sentBytes = bytesDone;
            post(new WorkerEvent { Progress = new LoadProgress { BytesDone = bytesDone, BytesTotal = bytesTotal } });
        }
    }
}
