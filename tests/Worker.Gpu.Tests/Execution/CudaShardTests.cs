using TensorParallel.Protocol.Checkpoints;
using TensorParallel.Protocol.Parallel;
using TensorParallel.TestKit;
using TensorParallel.Worker.Devices;
using TensorParallel.Worker.Execution;
using TensorParallel.Worker.Loading.Shards;
using TensorParallel.Worker.Tests.Execution;
using Xunit;

namespace TensorParallel.Worker.Gpu.Tests.Execution;

/// <summary>Pre-cut files through pinned slots, checked on the way: the GPU holds what the checkpoint itself gives.</summary>
public sealed class CudaShardTests
{
    [Theory]
    [InlineData("llama", 1, DType.BF16)]
    [InlineData("llama_tied_hd64", 2, DType.F32)]
    [InlineData("llama_bias", 2, DType.F16)]
    public void ShardsHoldWhatTheCheckpointGives(string family, int gpus, DType dtype)
    {
        Gpu.Need(gpus);
        using var folder = new TemporaryFolder();
        var model = RepositoryPaths.Golden(family);
        var plan = GroupRun.Plan(model, gpus, dtype, kind: DeviceKinds.Cuda);
        var set = folder.File("set");
        new ShardSetWriter(model, plan, set, threads: 2).Write((_, _) => { }, TestContext.Current.CancellationToken);

        var direct = Load(model, plan, shards: null);
        var cut = Load(model, plan, set);

        foreach (var (of, from) in direct.Zip(cut))
        {
            Assert.Equal(of.Keys.Order(), from.Keys.Order());
            Assert.All(of, tensor => Assert.True(tensor.Value.AsSpan().SequenceEqual(from[tensor.Key]), tensor.Key));
        }
    }

    [Fact]
    public void ABrokenByteIsNamed()
    {
        Gpu.Need(1);
        using var folder = new TemporaryFolder();
        var model = RepositoryPaths.Golden("llama");
        var plan = GroupRun.Plan(model, 1, DType.BF16, kind: DeviceKinds.Cuda);
        var set = folder.File("set");
        new ShardSetWriter(model, plan, set, threads: 2).Write((_, _) => { }, TestContext.Current.CancellationToken);
        var path = Directory.GetFiles(set, "*.safetensors").Single();
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);

        var error = Assert.Throws<AggregateException>(() => Load(model, plan, set));

        Assert.Contains("tensor \"lm_head.weight\"", Assert.IsType<CheckpointException>(error.InnerException).Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, byte[]>[] Load(string model, ExecutionPlan plan, string? shards)
    {
        var held = new Dictionary<string, byte[]>[plan.WorldSize];
        GroupRun.OnEachRank(plan, (context, device) =>
        {
            using var loaded = WorkerModel.Load(model, plan, context, shards: shards);
            held[context.Rank] = loaded.Weights.ToDictionary(target => target.Slice.Name, target => Bytes(device, target.Destination));
        });
        return held;
    }

    private static byte[] Bytes(IDevice device, Tensor tensor)
    {
        var row = tensor.Columns * tensor.DType.SizeInBytes();
        var bytes = new byte[tensor.Rows * row];
        for (var r = 0; r < tensor.Rows; r++)
        {
            device.CopyToHost(tensor.Buffer, tensor.RowsAt(r, 1).OffsetBytes, bytes.AsSpan(r * row, row));
        }

        return bytes;
    }
}
