using TensorParallel.Protocol.Checkpoints;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>The rule for agreement with a reference: a fraction of its largest logit.</summary>
internal static class LogitAssert
{
    /// <summary>1e-4 in float32, 3e-2 in bf16.</summary>
    public static float Tolerance(DType dtype) => dtype == DType.F32 ? 1e-4f : 3e-2f;

    public static void Close(float[] reference, float[] actual, float tolerance, string what)
    {
        Assert.Equal(reference.Length, actual.Length);
        var scale = reference.Max(MathF.Abs);
        var worst = 0;
        for (var i = 0; i < reference.Length; i++)
        {
            // Written so that a NaN fails.
            if (!(MathF.Abs(actual[i] - reference[i]) <= MathF.Abs(actual[worst] - reference[worst])))
            {
                worst = i;
            }
        }

        var difference = MathF.Abs(actual[worst] - reference[worst]);
        Assert.True(
            difference <= tolerance * scale,
            $"{what}: logit {worst} is {actual[worst]} instead of {reference[worst]}: off by " +
            $"{difference / scale:G3} of the largest");
    }
}
