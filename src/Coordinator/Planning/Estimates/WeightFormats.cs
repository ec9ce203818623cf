using TensorParallel.Coordinator.Planning.ModuleTrees;
using TensorParallel.Protocol.Checkpoints;

namespace TensorParallel.Coordinator.Planning.Estimates;

/// <summary>
/// Sizes of a model's weights in formats that checkpoints come in, scales counted. Quantized are the matrices of the
/// layers, of every expert its own; embedding, head, norms, routers and biases stay in bf16, as quantizers leave them.
/// </summary>
internal static class WeightFormats
{
    private const int Float8Block = 128;
    private const int Int4Group = 128;
    private const int Nf4Block = 64;

    /// <summary>Bytes by format, buffers left out.</summary>
    public static IReadOnlyList<FormatBytes> Of(ModuleTree tree)
    {
        var tensors = tree.OwnTensors().Select(tensor => tensor.Value).Where(tensor => !tensor.IsBuffer).ToList();
        return
        [
            new("float32", tensors.Sum(tensor => tensor.Bytes(DType.F32))),
            new("bfloat16, float16", tensors.Sum(tensor => tensor.Bytes(DType.BF16))),
            new("float8, blocks of 128 x 128", Sum((rows, columns) =>
                (rows * columns) + (4 * Blocks(rows, Float8Block) * Blocks(columns, Float8Block)))),
            new("int8, a scale a row", Sum((rows, columns) => (rows * columns) + (4 * rows))),
            // A 16-bit scale and a 4-bit zero for 128 values of a row.
            new("int4, groups of 128", Sum((rows, columns) =>
                Blocks(rows * columns, 2)
                + (2 * rows * Blocks(columns, Int4Group))
                + Blocks(rows * Blocks(columns, Int4Group), 2))),
            new("nf4, blocks of 64", Sum((rows, columns) =>
                Blocks(rows * columns, 2) + (4 * Blocks(rows * columns, Nf4Block)))),
        ];

        long Sum(Func<long, long, long> bytes) => tensors.Sum(tensor => IsQuantized(tensor)
            ? Matrices(tensor) * bytes(tensor.Shape[^2], tensor.Shape[^1])
            : tensor.Bytes(DType.BF16));
    }

    private static bool IsQuantized(TensorNode tensor) => tensor.Shape.Count > 1
        && tensor.Cut is TensorCut.QueryHeads or TensorCut.KeyValueHeads or TensorCut.MlpColumns;

    private static long Matrices(TensorNode tensor) => tensor.Elements / (tensor.Shape[^2] * tensor.Shape[^1]);

    private static long Blocks(long size, int block) => (size + block - 1) / block;
}
