using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.ExceptionServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Quantization;

namespace TensorParallel.Worker.Loading;

/// <summary>
/// Reads this rank's parts of a checkpoint straight into their places on the device: in file order, a few threads, no
/// whole tensor in host memory.
/// </summary>
/// <param name="tensors">Where the tensors lie, by the name that slices use.</param>
/// <param name="device">Owner of the destinations.</param>
/// <param name="rank">For messages.</param>
internal sealed class WeightLoader(IReadOnlyDictionary<string, TensorInfo> tensors, IDevice device, int rank)
{
    /// <summary>
    /// Most file bytes of one read: large enough for full disk speed, small enough to keep several threads busy.
    /// </summary>
    public const int DefaultChunkBytes = 4 << 20;

    // More threads than this compete for the same disk; several ranks load at once on one host.
    private const int MaxThreads = 4;

    private readonly Lock _progressLock = new();

    /// <summary>Most file bytes of one read.</summary>
    public int ChunkBytes { get; init; } = DefaultChunkBytes;

    /// <summary>
    /// Loads all targets; returns when they are on the device. Throws <see cref="CheckpointException"/> naming rank,
    /// file and tensor; the destinations then hold an unknown mixture.
    /// </summary>
    /// <param name="targets">Disjoint destinations.</param>
    /// <param name="progress">
    /// Called from loader threads, one at a time, with rising numbers; the last call says all is done.
    /// </param>
    public LoadReport Load(IReadOnlyList<WeightTarget> targets, Action<LoadProgress>? progress = null)
    {
        var clock = Stopwatch.StartNew();
        var files = new Dictionary<string, SafetensorsFile>();
        try
        {
            var chunks = ReadPlan.Create(tensors, targets, ChunkBytes);
            foreach (var path in chunks.Select(c => c.Source.File).Distinct())
            {
                files.Add(path, new SafetensorsFile(path));
            }

            var owned = chunks.Sum(c => c.OwnedBytes);
            Transfer(chunks, files, owned, progress);
            return new LoadReport(owned, files.Values.Sum(f => f.BytesRead), files.Count, clock.Elapsed);
        }
        catch (CheckpointException e)
        {
            throw new CheckpointException($"Rank {rank}: {e.Message}", e);
        }
        finally
        {
            foreach (var file in files.Values)
            {
                file.Dispose();
            }
        }
    }

    private void Transfer(
        IReadOnlyList<ReadChunk> chunks,
        Dictionary<string, SafetensorsFile> files,
        long total,
        Action<LoadProgress>? progress)
    {
        var next = -1;
        var done = 0L;
        var failures = new ConcurrentQueue<ExceptionDispatchInfo>();
        var threads = Math.Min(Math.Min(MaxThreads, Environment.ProcessorCount), Math.Max(1, chunks.Count));
        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
        {
            var slot = new StagingSlot(device);
            try
            {
                for (var i = Interlocked.Increment(ref next);
                    i < chunks.Count && failures.IsEmpty;
                    i = Interlocked.Increment(ref next))
                {
                    slot.Transfer(files[chunks[i].Source.File], chunks[i]);
                    Report(ref done, chunks[i].OwnedBytes, total, progress);
                }
            }
            catch (Exception e)
            {
                failures.Enqueue(ExceptionDispatchInfo.Capture(e));
            }
        });

        // The first failure is the cause; the others only say that they stopped.
        if (failures.TryDequeue(out var first))
        {
            first.Throw();
        }
    }

    private void Report(ref long done, long bytes, long total, Action<LoadProgress>? progress)
    {
        lock (_progressLock)
        {
            done += bytes;
            progress?.Invoke(new LoadProgress(done, total));
        }
    }
}
