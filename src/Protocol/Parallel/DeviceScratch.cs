using TensorParallel.Protocol.Generation;

namespace TensorParallel.Protocol.Parallel;

/// <summary>
/// What a rank's operations, sampler and collectives keep for themselves on its device: what the plan counts and the worker allocates,
/// from one set of numbers. On processors such memory grows with the work and is not counted: it is a part of the host's, small beside
/// the activations.
/// </summary>
public static class DeviceScratch
{
    /// <summary>cuBLASLt's own.</summary>
    public const long ProductBytes = 32 << 20;

    /// <summary>Sums that await a bias: 1,024 rows of 4,096.</summary>
    public const long ProductSumBytes = 16 << 20;

    /// <summary>Most blocks of decode attention at once: two on each of 192 multiprocessors, more than any GPU has.</summary>
    public const int MostDecodeBlocks = 384;

    /// <summary>Largest head size of attention.</summary>
    public const int MaxHeadDim = 256;

    /// <summary>Parts of decode attention: for each block 16 query rows, with maximum and sum.</summary>
    public const long DecodePartBytes = (long)MostDecodeBlocks * 16 * (MaxHeadDim + 2) * sizeof(float);

    /// <summary>How many blocks of a context have arrived.</summary>
    public const long DecodeArrivalBytes = (long)MostDecodeBlocks * sizeof(uint);

    /// <summary>Most ranks that peer memory joins.</summary>
    public const int MostPeers = 8;

    /// <summary>Messages of one rank to another that are under way: 16 slots of 4 KiB, in packets of half data.</summary>
    public const long PostRingBytes = 16 * 2 * (4 << 10);

    /// <summary>
    /// A rank's mailbox: two halves for sums of few rows, flags, room for the parts and the results of divided rows, and for messages.
    /// 81 MiB.
    /// </summary>
    public const long MailboxBytes = (2 * ((8 << 20) + (64 << 10))) + (2 * MostPeers * 1024 * sizeof(long)) + (2 * (32L << 20))
        + (MostPeers * PostRingBytes);

    private const long LeastSamplingPartBytes = 1 << 20;
    private const long LeastSamplingArrivalBytes = 256 * sizeof(uint);
    private const int SamplingPartBytes = 48;
    private const int SamplingChunkTokens = 128;

    // Words of state and a token of peer memory, and a token of NCCL.
    private const long GroupStateBytes = (4 * sizeof(uint)) + (2 * sizeof(float));

    /// <summary>
    /// Partial results of drawing <paramref name="rows"/> tokens from <paramref name="tokens"/> logits each: a part for each block, and
    /// twice a maximum for each 128 tokens. Example: 256 rows, 128,256 tokens: 4.1 MB.
    /// </summary>
    public static long SamplingBytes(int rows, int tokens) => Math.Max(
        LeastSamplingPartBytes,
        ((long)Math.Max(rows, MostDecodeBlocks) * SamplingPartBytes)
        + (2L * rows * ((tokens + SamplingChunkTokens - 1L) / SamplingChunkTokens) * sizeof(ulong)));

    /// <summary>How many blocks of a row have arrived.</summary>
    public static long SamplingArrivalBytes(int rows) => Math.Max(LeastSamplingArrivalBytes, (long)rows * sizeof(uint));

    /// <summary>All of it on one rank.</summary>
    /// <param name="device">Its device.</param>
    /// <param name="headTokens">Vocabulary rows of its output head; 0 without one.</param>
    /// <param name="limits">The largest step.</param>
    /// <param name="worldSize">Number of ranks.</param>
    public static long Bytes(string device, int headTokens, StepLimits limits, int worldSize) =>
        DeviceKinds.Of(device) != DeviceKinds.Cuda ? 0
        : ProductBytes + ProductSumBytes + DecodePartBytes + DecodeArrivalBytes
            + SamplingBytes(limits.MaxSequences, headTokens) + SamplingArrivalBytes(limits.MaxSequences)
            + (worldSize > 1 ? GroupStateBytes + (worldSize <= MostPeers ? MailboxBytes : 0) : 0);
}
