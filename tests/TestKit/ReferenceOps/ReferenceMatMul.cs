namespace TensorParallel.TestKit.ReferenceOps;

/// <summary>Matrix product as three loops in double precision.</summary>
public static class ReferenceMatMul
{
    /// <summary>
    /// x · weightᵀ + bias, and beside it the sum of the terms' magnitudes, to which rounding errors are proportional.
    /// </summary>
    public static (double[,] Product, double[,] Magnitude) Run(double[,] x, double[,] weight, double[,]? bias)
    {
        var (tokens, columns, rows) = (x.GetLength(0), x.GetLength(1), weight.GetLength(0));
        var product = new double[tokens, rows];
        var magnitude = new double[tokens, rows];
        for (var t = 0; t < tokens; t++)
        {
            for (var n = 0; n < rows; n++)
            {
                var sum = bias is null ? 0 : bias[0, n];
                var size = Math.Abs(sum);
                for (var k = 0; k < columns; k++)
                {
                    var term = x[t, k] * weight[n, k];
                    sum += term;
                    size += Math.Abs(term);
                }

                product[t, n] = sum;
                magnitude[t, n] = size;
            }
        }

        return (product, magnitude);
    }
}
