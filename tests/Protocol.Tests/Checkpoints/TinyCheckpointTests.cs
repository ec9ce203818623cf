using System.Runtime.InteropServices;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Protocol.Tests.Checkpoints;

/// <summary>The test kit's own checkpoints: others trust them to be valid, random and the same in any shards.</summary>
public sealed class TinyCheckpointTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, false, false, false, DType.F32, TinyRope.Default)]
    [InlineData(2, true, true, false, DType.BF16, TinyRope.Llama3)]
    [InlineData(5, false, false, true, DType.F16, TinyRope.Linear)]
    public void Write_MakesWhatTheOptionsSay(
        int shards, bool tied, bool attentionBias, bool mlpBias, DType dtype, TinyRope rope)
    {
        var options = new TinyCheckpointOptions
        {
            Layers = 3,
            Hidden = 40,
            Heads = 6,
            KvHeads = 3,
            HeadDim = 10,
            Intermediate = 33,
            Vocab = 101,
            Shards = shards,
            Tied = tied,
            AttentionBias = attentionBias,
            MlpBias = mlpBias,
            DType = dtype,
            Rope = rope,
        };

        var checkpoint = Checkpoint.Open(TinyCheckpoint.Write(_folder.Path, options));

        var perLayer = 9 + (attentionBias ? 4 : 0) + (mlpBias ? 3 : 0);
        Assert.Equal(2 + (tied ? 0 : 1) + (3 * perLayer), checkpoint.Tensors.Count);
        Assert.Equal(shards, checkpoint.Tensors.Values.Select(t => t.File).Distinct().Count());
        Assert.All(checkpoint.Tensors.Values, t => Assert.Equal(dtype, t.DType));
        checkpoint.Require("model.layers.2.self_attn.v_proj.weight", 30, 40);
        checkpoint.Require("model.layers.2.self_attn.o_proj.weight", 40, 60);
        checkpoint.Require("model.layers.2.mlp.down_proj.weight", 40, 33);
        Assert.Equal(attentionBias, checkpoint.Tensors.ContainsKey("model.layers.0.self_attn.o_proj.bias"));
        Assert.Equal(dtype, DTypeResolution.Resolve("auto", checkpoint));
        Assert.Equal(
            rope.ToString(), checkpoint.Config.Section("rope_parameters").String("rope_type"), ignoreCase: true);
    }

    [Fact]
    public void Write_CanUseTheOldKeys()
    {
        var config = Checkpoint.Open(
            TinyCheckpoint.Write(_folder.Path, new() { LegacyConfigKeys = true, Rope = TinyRope.Linear })).Config;

        Assert.Equal(10_000, config.Double("rope_theta"));
        Assert.Equal(4, config.Section("rope_scaling").Double("factor"));
        Assert.False(config.Has("rope_parameters"));
        Assert.False(config.Has("dtype"));
        Assert.Equal("float32", config.DTypeName);
    }

    [Fact]
    public void Weights_DependOnSeedAndNameOnly()
    {
        var one = Read(new() { Seed = 7 });
        var four = Read(new() { Seed = 7, Shards = 4, AttentionBias = true });
        var other = Read(new() { Seed = 8 });

        Assert.All(one, tensor => Assert.Equal(tensor.Value, four[tensor.Key]));
        Assert.All(one, tensor => Assert.NotEqual(tensor.Value, other[tensor.Key]));
    }

    [Fact]
    public void Weights_HaveTheirScale()
    {
        var tensors = Read(new() { Hidden = 256, Vocab = 300 });

        AssertMoments("model.layers.0.self_attn.q_proj.weight", 0, 1 / 16.0);
        AssertMoments("lm_head.weight", 0, 2 / 16.0);
        AssertMoments("model.embed_tokens.weight", 0, 1);
        AssertMoments("model.norm.weight", 1, 0.1);
        Assert.NotEqual(
            tensors["model.layers.0.self_attn.q_proj.weight"], tensors["model.layers.1.self_attn.q_proj.weight"]);

        void AssertMoments(string name, double mean, double deviation)
        {
            var values = tensors[name];
            var actualMean = values.Average(v => (double)v);
            var actualDeviation = Math.Sqrt(values.Average(v => (v - actualMean) * (v - actualMean)));

            // Five standard errors of each estimate.
            Assert.InRange(Math.Abs(actualMean - mean) / deviation, 0, 5 / Math.Sqrt(values.Length));
            Assert.InRange(Math.Abs((actualDeviation / deviation) - 1), 0, 5 / Math.Sqrt(2 * values.Length));
        }
    }

    [Fact]
    public void HalfPrecisions_AreTheRoundedSingles()
    {
        const string Name = "model.layers.1.mlp.up_proj.weight";
        var singles = Read(new())[Name];
        var halves = MemoryMarshal.Cast<byte, Half>(Bytes(new() { DType = DType.F16 }, Name)).ToArray();
        var brains = MemoryMarshal.Cast<byte, ushort>(Bytes(new() { DType = DType.BF16 }, Name)).ToArray();

        for (var i = 0; i < singles.Length; i++)
        {
            Assert.InRange(Math.Abs((float)halves[i] - singles[i]), 0, (Math.Abs(singles[i]) / 2048) + 6e-8f);
            var brain = BitConverter.UInt32BitsToSingle((uint)brains[i] << 16);
            Assert.InRange(Math.Abs(brain - singles[i]), 0, Math.Abs(singles[i]) / 256);
        }
    }

    private Dictionary<string, float[]> Read(TinyCheckpointOptions options)
    {
        var folder = Directory.CreateDirectory(_folder.File(Guid.NewGuid().ToString())).FullName;
        return Checkpoint.Open(TinyCheckpoint.Write(folder, options)).Tensors.Values
            .ToDictionary(t => t.Name, t => MemoryMarshal.Cast<byte, float>(Data(t)).ToArray());
    }

    private byte[] Bytes(TinyCheckpointOptions options, string name)
    {
        var folder = Directory.CreateDirectory(_folder.File(Guid.NewGuid().ToString())).FullName;
        return Data(Checkpoint.Open(TinyCheckpoint.Write(folder, options)).Tensors[name]);
    }

    private static byte[] Data(TensorInfo tensor)
    {
        var bytes = new byte[tensor.Bytes];
        using var file = File.OpenRead(tensor.File);
        file.Position = tensor.Offset;
        file.ReadExactly(bytes);
        return bytes;
    }
}
