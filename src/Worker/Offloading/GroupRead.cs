using System.Runtime.ExceptionServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Loading;

namespace TensorParallel.Worker.Offloading;

/// <summary>One reading of a group from its files, shared out to several threads by batches.</summary>
/// <param name="rank">For messages.</param>
/// <param name="chunks">What to read.</param>
/// <param name="batches">The same, by slots of a lane.</param>
/// <param name="free">Reached when the place to read to is free.</param>
/// <param name="files">The files that the chunks are in.</param>
internal sealed class GroupRead(
    int rank, IReadOnlyList<ReadChunk> chunks, IReadOnlyList<ReadBatch> batches, ICopyPoint free, IReadOnlyList<SafetensorsFile> files)
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _left = batches.Count;
    private ExceptionDispatchInfo? _failure;

    /// <summary>What to read.</summary>
    public IReadOnlyList<ReadChunk> Chunks => chunks;

    /// <summary>The same, by slots of a lane.</summary>
    public IReadOnlyList<ReadBatch> Batches => batches;

    /// <summary>Reached when the place to read to is free.</summary>
    public ICopyPoint Free => free;

    /// <summary>Whether a batch has failed: the others need not be read.</summary>
    public bool HasFailed => Volatile.Read(ref _failure) is not null;

    /// <summary>Returns when all of it is on the device; throws the first failure.</summary>
    public void Wait()
    {
        if (batches.Count > 0)
        {
            _ended.Task.Wait();
        }

        _failure?.Throw();
    }

    /// <summary>A batch is on the device. With the last one it is looked at whether the files are still those that were opened.</summary>
    public void BatchDone()
    {
        if (Interlocked.Decrement(ref _left) > 0)
        {
            return;
        }

        try
        {
            foreach (var file in files)
            {
                file.ThrowIfChanged();
            }
        }
        catch (Exception e)
        {
            Note(e is CheckpointException ? new CheckpointException($"Rank {rank}: {e.Message}", e) : e); // whatever it is, Wait ends with it
        }

        _ended.SetResult();
    }

    /// <summary>A batch could not be read.</summary>
    public void Fail(Exception failure)
    {
        Note(failure);
        BatchDone();
    }

    private void Note(Exception failure) =>
        Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(failure), null);
}
