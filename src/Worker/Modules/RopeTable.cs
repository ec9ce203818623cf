using System.Runtime.InteropServices;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Parallel;
using TensorParallel.Worker.Devices;

namespace TensorParallel.Worker.Modules;

/// <summary>Cosines and sines of the rotary angles of every position.</summary>
internal static class RopeTable
{
    private const int PieceElements = 1 << 20;

    /// <summary>
    /// Fills F32 [positions, RotaryDim]: the first half of a row cosines, the second sines. The angle is rounded to
    /// float before its cosine is taken, as transformers does: at position 2,000 that moves it by up to 6e-5, which
    /// shows in float32 logits.
    /// </summary>
    public static void Fill(RopeSpec rope, Tensor table, IDevice device)
    {
        // A row is 512 bytes where heads have 128 columns: as many as fit go over together.
        var rowsTogether = table.RowStride == table.Columns ? Math.Max(1, PieceElements / rope.RotaryDim) : 1;
        var rows = new float[Math.Min(rowsTogether, Math.Max(1, table.Rows)) * rope.RotaryDim];
        for (var first = 0; first < table.Rows; first += rowsTogether)
        {
            var count = Math.Min(rowsTogether, table.Rows - first);
            Parallel.For(0, count, i => FillRow(rope, first + i, rows.AsSpan(i * rope.RotaryDim, rope.RotaryDim)));
            var bytes = MemoryMarshal.AsBytes(rows.AsSpan(0, count * rope.RotaryDim));
            device.CopyToDevice(bytes, table.Buffer, table.RowsAt(first, count).OffsetBytes);
        }
    }

    /// <summary>
    /// The rotation of all blocks. Throws <see cref="PlanException"/> when they differ: one table serves them all.
    /// </summary>
    public static RopeSpec CommonRope(ModelSpec spec)
    {
        var first = spec.Blocks[0].Attention.Rope;
        foreach (var block in spec.Blocks)
        {
            var rope = block.Attention.Rope;
            if (!rope.InverseFrequencies.SequenceEqual(first.InverseFrequencies)
                || rope.RotaryDim != first.RotaryDim
                || rope.AttentionFactor != first.AttentionFactor)
            {
                throw new PlanException(
                    $"{block.Name} rotates otherwise than {spec.Blocks[0].Name}: that cannot be run yet.");
            }
        }

        return first;
    }

    private static void FillRow(RopeSpec rope, int position, Span<float> row)
    {
        var pairs = rope.RotaryDim / 2;
        for (var i = 0; i < pairs; i++)
        {
            var angle = position * rope.InverseFrequencies[i];
            row[i] = MathF.Cos(angle) * rope.AttentionFactor;
            row[pairs + i] = MathF.Sin(angle) * rope.AttentionFactor;
        }
    }
}
