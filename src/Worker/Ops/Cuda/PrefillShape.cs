using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Ops.Cuda;

/// <summary>Which kernel of prefill attention serves a head size on a device, and how it is compiled and launched.</summary>
/// <param name="Method">The kernel.</param>
/// <param name="HeadDim">Head size.</param>
/// <param name="Warps">attention_prefill.cu: warps of a block.</param>
/// <param name="Matrices">attention_prefill.cu: times 16 rows that a warp has.</param>
/// <param name="Tokens">Tokens of a key tile.</param>
internal readonly record struct PrefillShape(PrefillMethod Method, int HeadDim, int Warps, int Matrices, int Tokens)
{
    /// <summary>Chooses the method: <c>mma</c> or <c>wgmma</c>; unset: the best.</summary>
    internal const string Variable = "TP_CUDA_ATTENTION";

    /// <summary>Rows of a block, pairs of step row and query head, in every variant.</summary>
    public const int Rows = 128;

    private const int Hopper = 90;

    // Of a block on Hopper, less room for the kernel's barriers.
    private const int MostSharedBytes = (227 * 1024) - 256;

    private static readonly PrefillMethod? s_wanted = Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" => null,
        "mma" => PrefillMethod.Mma,
        "wgmma" => PrefillMethod.Wgmma,
        var other => throw new ArgumentException($"{Variable} is \"{other}\", but mma and wgmma are known."),
    };

    /// <summary>Threads of a block.</summary>
    public int Threads => Method == PrefillMethod.Mma ? Warps * 32 : 3 * 128;

    /// <summary>Dynamic shared memory of a block.</summary>
    public int SharedBytes
    {
        get
        {
            if (Method == PrefillMethod.Mma)
            {
                return (Rows + (2 * Tokens)) * (((HeadDim + 15) / 16 * 16) + 8) * 2;
            }

            return RingBytes(Stages);
        }
    }

    // Tiles of keys, and as many of values, in the ring. Three of heads of 128 take 225 KiB of Hopper's 227.
    private int Stages => RingBytes(3) <= MostSharedBytes ? 3 : 2;

    // Panels of 64 columns for q and the tiles of k and v; up to 1,023 bytes go for the alignment.
    private int RingBytes(int stages) => 1024 + ((HeadDim + 63) / 64 * 128 * (Rows + (2 * stages * Tokens)));

    /// <summary>The kernel for activations and cache of <paramref name="dtype"/>.</summary>
    public CudaKernel Kernel(DType dtype)
    {
        var name = CudaElement.Name(dtype);
        var types = $"T={name} KV={name} HEAD_DIM={HeadDim} TOKENS={Tokens}";
        return Method == PrefillMethod.Mma
            ? new CudaKernel(
                "attention_prefill.cu", "attention_prefill", $"{types} WARPS={Warps} MT={Matrices} BLOCKS={(Matrices > 1 ? 2 : 1)}")
            : new CudaKernel(
                "attention_wgmma.cu", "attention_wgmma", $"{types} STAGES={Stages}");
    }

    /// <summary>
    /// Which rows blocks have, by how many blocks there would be. Blocks that all run at once end with the longest of them: 2,048 rows of 8
    /// heads over 2 KV heads are 128 blocks for 132 multiprocessors, whose last has 2,048 tokens to see where the average has 1,024;
    /// mirrored each sees 2,048 for half of its rows (8,192 tokens' last 2,048 rows: 122 us instead of 130, the first 30 instead of 37).
    /// Where twice the blocks run at once, each has half of the rows.
    /// </summary>
    /// <param name="together">Blocks of <see cref="Rows"/> rows.</param>
    /// <param name="apart">Blocks of half as many.</param>
    /// <param name="multiprocessors">Of the device.</param>
    /// <param name="windowed">Whether rows see a window only: all blocks are about as long then.</param>
    public PrefillSpread Spread(long together, long apart, int multiprocessors, bool windowed) =>
        Method != PrefillMethod.Wgmma ? PrefillSpread.Together
        : apart <= multiprocessors ? PrefillSpread.Apart
        : !windowed && together <= multiprocessors ? PrefillSpread.Mirrored
        : PrefillSpread.Together;

    /// <summary>
    /// The shape for a device. What is asked for (<paramref name="wanted"/>, else <see cref="Variable"/>) counts where the device and
    /// the head size allow it.
    /// </summary>
    public static PrefillShape For(int headDim, int capability, int sharedMemoryBytes, PrefillMethod? wanted = null)
    {
        var method = wanted ?? s_wanted ?? PrefillMethod.Wgmma;
        if (method != PrefillMethod.Mma && capability == Hopper && headDim is (64 or 96 or 128 or 192 or 256))
        {
            // Large heads leave registers and shared memory for fewer tokens.
            return new PrefillShape(method, headDim, 0, 0, headDim > 128 ? 64 : 128);
        }

        // Heads over 128 fill the registers of a warp with 16 rows; with 32 rows, over 96, compilers spill before Hopper.
        var shape = headDim > 128
            ? new PrefillShape(PrefillMethod.Mma, headDim, 8, 1, 64)
            : new PrefillShape(PrefillMethod.Mma, headDim, 4, 2, headDim > 96 && capability < Hopper ? 32 : 64);
        return shape.SharedBytes <= sharedMemoryBytes ? shape : shape with { Tokens = 32 };
    }
}
