using TensorParallel.Protocol.Architectures;

namespace TensorParallel.TestKit.ReferenceOps;

/// <summary>Row operations as plain loops in double precision; [row, column] arrays.</summary>
public static class ReferenceRows
{
    /// <summary>Rows of the table by id; zeros outside [firstRow, firstRow + rows).</summary>
    public static double[,] Embedding(double[,] table, int[] ids, int firstRow)
    {
        var result = new double[ids.Length, table.GetLength(1)];
        for (var t = 0; t < ids.Length; t++)
        {
            var row = ids[t] - firstRow;
            for (var h = 0; h < table.GetLength(1) && row >= 0 && row < table.GetLength(0); h++)
            {
                result[t, h] = table[row, h];
            }
        }

        return result;
    }

    /// <summary>x / sqrt(mean(x²) + epsilon) · weight, row by row.</summary>
    public static double[,] RmsNorm(double[,] x, double[,] weight, double epsilon)
    {
        var (rows, columns) = (x.GetLength(0), x.GetLength(1));
        var result = new double[rows, columns];
        for (var t = 0; t < rows; t++)
        {
            var sum = 0.0;
            for (var h = 0; h < columns; h++)
            {
                sum += x[t, h] * x[t, h];
            }

            for (var h = 0; h < columns; h++)
            {
                result[t, h] = x[t, h] / Math.Sqrt((sum / columns) + epsilon) * weight[0, h];
            }
        }

        return result;
    }

    /// <summary>a + b.</summary>
    public static double[,] Add(double[,] a, double[,] b)
    {
        var result = (double[,])a.Clone();
        for (var t = 0; t < a.GetLength(0); t++)
        {
            for (var h = 0; h < a.GetLength(1); h++)
            {
                result[t, h] += b[t, h];
            }
        }

        return result;
    }

    /// <summary>act(gate) · up.</summary>
    public static double[,] GatedActivation(double[,] gate, double[,] up, ActivationKind kind)
    {
        var result = new double[gate.GetLength(0), gate.GetLength(1)];
        for (var t = 0; t < gate.GetLength(0); t++)
        {
            for (var i = 0; i < gate.GetLength(1); i++)
            {
                result[t, i] = Activate(gate[t, i], kind) * up[t, i];
            }
        }

        return result;
    }

    /// <summary>Rows of x by index.</summary>
    public static double[,] Gather(double[,] x, int[] indices) => Embedding(x, indices, 0);

    /// <summary>One activation.</summary>
    public static double Activate(double x, ActivationKind kind) => kind switch
    {
        ActivationKind.Silu => x / (1 + Math.Exp(-x)),
        ActivationKind.Gelu => x * NormalDistribution(x),

        // x/2 · (1 + tanh u) without its cancellation at large negative u.
        ActivationKind.GeluTanh => x / (1 + Math.Exp(-2 * Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "Unknown activation."),
    };

    /// <summary>
    /// Φ(x): its Taylor series in the middle, where all terms are positive; the continued fraction of the tail beyond.
    /// </summary>
    public static double NormalDistribution(double x)
    {
        var density = Math.Exp(-0.5 * x * x) / Math.Sqrt(2 * Math.PI);
        if (Math.Abs(x) < 4)
        {
            var (term, sum) = (Math.Abs(x), Math.Abs(x));
            for (var n = 3; n < 200; n += 2)
            {
                term *= x * x / n;
                sum += term;
            }

            // For x < 0 the tail is 1/2 − sum · density: good to 1e-16 of 1/2, that is 1e-12 of the least tail here.
            return 0.5 + (Math.Sign(x) * sum * density);
        }

        var fraction = 0.0;
        for (var n = 200; n >= 1; n--)
        {
            fraction = n / (Math.Abs(x) + fraction);
        }

        var tail = density / (Math.Abs(x) + fraction);
        return x < 0 ? tail : 1 - tail;
    }
}
