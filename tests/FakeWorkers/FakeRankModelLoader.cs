using TensorParallel.Worker.Session;

namespace TensorParallel.FakeWorkers;

/// <summary>Loads no model: checks that the bootstrap blob arrives, and does what the script says.</summary>
internal sealed class FakeRankModelLoader : IRankModelLoader
{
    /// <summary>Bytes that every rank claims to read.</summary>
    public const long Bytes = 1000;

    private static readonly byte[] s_blob = [1, 2, 3, 250];

    public IRankModel Load(
        RankLoad load, BootstrapExchange bootstrap, Action<long, long> progress, CancellationToken cancellationToken)
    {
        if (load.Rank == 0)
        {
            bootstrap.Publish(s_blob);
        }

        if (!bootstrap.Receive().AsSpan().SequenceEqual(s_blob))
        {
            throw new InvalidOperationException("The bootstrap blob came changed.");
        }

        progress(Bytes / 2, Bytes);
        var behaviour = FakeScript.Parse(load.ModelFolder).For(load.Rank);
        switch (behaviour)
        {
            case FakeBehaviour.LoadHang:
                cancellationToken.WaitHandle.WaitOne();
                break;
            case FakeBehaviour.LoadThrow:
                throw new InvalidDataException("The fake shard is cut short.");
            case FakeBehaviour.LoadExit:
                Console.Error.WriteLine("free(): invalid \u0001 pointer");
                Environment.Exit(3);
                break;
        }

        progress(Bytes, Bytes);
        load.Timeline.Add("fake", 0, TimeSpan.FromMilliseconds(5 + load.Rank));
        return new FakeRankModel(load.Rank, load.Plan.WorldSize, behaviour);
    }
}
