using TensorParallel.Protocol.Generation;
using TensorParallel.Worker.Collectives;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Measuring;
using TensorParallel.Worker.Session;

namespace TensorParallel.FakeWorkers;

/// <summary>The last rank "samples" position × 10 + slot; the others report no tokens.</summary>
internal sealed class FakeRankModel(int rank, int worldSize, FakeBehaviour behaviour) : IRankModel
{
    public long BytesRead => FakeRankModelLoader.Bytes;

    private int _peak = 1000 + rank;

    public IReadOnlyList<MemoryUse> MemoryUse() => [new MemoryUse(MemoryPurpose.Weights, 900 + rank, _peak)];

    public DeviceMemory DeviceMemory() => new(8000, 7000, 50);

    public void ResetPeaks() => _peak = 900 + rank;

    public MovedMemory Evict() => new(100, 60);

    public MovedMemory Restore() => new(100, 60);

    public IReadOnlyList<Figure> Measure(MeasureRequest request) => behaviour switch
    {
        FakeBehaviour.MeasureThrow => throw new ArithmeticException("Overflow in the fake measure."),
        _ => [.. request.Sizes.Select(size => new Figure($"{request.Kind}", 10 + rank, size))],
    };

    public IPendingStep Issue(StepBatch batch) => new FinishedStep(Step(batch));

    public void Dispose()
    {
    }

    private StepResult Step(StepBatch batch)
    {
        switch (behaviour)
        {
            case FakeBehaviour.StepSpin:
                for (var i = 0L; ; i++)
                {
                    GC.KeepAlive(i);
                }

            case FakeBehaviour.StepThrow:
                throw new ArithmeticException("Overflow in the fake model.");
            case FakeBehaviour.StepWrongNumber:
                return new StepResult(batch.Step + 1, [], 1);
            case FakeBehaviour.StepPeerGone:
                throw new CollectiveException($"Rank {rank}: peer 0 is gone.");
        }

        var tokens = rank == worldSize - 1
            ? batch.Sequences.Where(sequence => sequence.Sample)
                .Select(sequence => new SampledToken(sequence.Slot, (sequence.Position * 10) + sequence.Slot, null, []))
                .ToArray()
            : [];
        return new StepResult(batch.Step, tokens, rank + 1);
    }
}
