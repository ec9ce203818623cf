using System.Security.Cryptography;
using System.Text;
using TensorParallel.Protocol.Wire;
using TensorParallel.Protocol.Wire.Frames;
using TensorParallel.Protocol.Wire.Workers;

namespace TensorParallel.Coordinator.Workers;

/// <summary>
/// Who may connect: the first event of a stream must be a Hello with the group's secret and a free rank. Thread-safe.
/// </summary>
/// <param name="secret">What every worker of the group was given.</param>
/// <param name="ranks">The ranks, in rank order.</param>
/// <param name="helloTimeout">Longest wait for the first event of a stream.</param>
internal sealed class HubAdmission(string secret, IReadOnlyList<WorkerRank> ranks, TimeSpan helloTimeout)
{
    // Of somebody who has not said who they are, no more is taken in.
    private const int MostHelloBytes = 4 << 10;

    private readonly byte[] _secret = Encoding.UTF8.GetBytes(secret);

    /// <summary>Waits for a stream's Hello and gives the rank whose stream it is now; null: it was refused, and told why.</summary>
    public WorkerRank? Admit(MessageSocket stream)
    {
        var (rank, refusal) = RankOf(stream);
        if (refusal is not null)
        {
            stream.Send(new WorkerCommand { Refused = new Refused { Reason = refusal } });
            return null;
        }

        return rank;
    }

    private (WorkerRank? Rank, string? Refusal) RankOf(MessageSocket stream)
    {
        WorkerEvent? first;
        try
        {
            first = stream.Receive(WorkerEvent.Parser, MostHelloBytes, helloTimeout);
        }
        catch (Exception exception) when (exception is WireException or TimeoutException)
        {
            return (null, exception.Message);
        }

        // A worker that is stopped while it starts takes its stream with it: nobody is there to be told.
        return first is null ? (null, "the stream ended before its hello")
            : first.Hello is not { } hello ? (null, "the first event must be a hello")
            : !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(hello.Secret), _secret)
                ? (null, "the secret is not this coordinator's")
            : hello.Rank < 0 || hello.Rank >= ranks.Count ? (null, $"rank {hello.Rank} is not in 0 … {ranks.Count - 1}")
            : !ranks[hello.Rank].TryConnect(new WorkerConnection(stream)) ? (null, $"rank {hello.Rank} is connected already")
            : (ranks[hello.Rank], null);
    }
}
