using System.Runtime.InteropServices;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Modules;
using TensorParallel.Worker.Tests.Collectives;
using Xunit;

namespace TensorParallel.Worker.Tests.Modules;

public class RopeTableTests
{
    [Fact]
    public void AnglesAreRoundedToFloatBeforeTheirCosine()
    {
        const int Positions = 3000;
        float[] frequencies = [1f, 0.31622776f, 0.1f, 0.012345678f];
        using var device = new HostDevice();
        var table = device.Tensor(DType.F32, Positions, 8);
        RopeTable.Fill(new RopeSpec("test", 8, frequencies, 1.5f), table, device);
        var values = MemoryMarshal.Cast<byte, float>(HostDevice.Bytes(table)).ToArray();
        foreach (var position in (int[])[0, 1, 7, 1234, Positions - 1])
        {
            for (var pair = 0; pair < frequencies.Length; pair++)
            {
                double angle = (float)(position * frequencies[pair]);
                Assert.Equal(1.5 * Math.Cos(angle), values[(position * 8) + pair], 3e-7);
                Assert.Equal(1.5 * Math.Sin(angle), values[(position * 8) + 4 + pair], 3e-7);
            }
        }
    }

    [Fact]
    public void BlocksThatRotateDifferentlyAreRefused()
    {
        var spec = ArchitectureCatalog.Describe(Checkpoint.Open(RepositoryPaths.Golden("llama")).Config);
        Assert.Same(spec.Blocks[0].Attention.Rope, RopeTable.CommonRope(spec));
        var attention = spec.Blocks[1].Attention;
        var rope = attention.Rope with { AttentionFactor = 2 };
        var other = spec.Blocks[1] with { Attention = attention with { Rope = rope } };
        var mixed = spec with { Blocks = [spec.Blocks[0], other] };
        var error = Assert.Throws<PlanException>(() => RopeTable.CommonRope(mixed));
        Assert.Contains("model.layers.1", error.Message, StringComparison.Ordinal);
    }
}
