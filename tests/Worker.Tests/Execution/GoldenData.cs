using System.Runtime.InteropServices;
using System.Text.Json;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;
using Xunit;

namespace TensorParallel.Worker.Tests.Execution;

/// <summary>A golden checkpoint and the reference's answers; see the README of tests/Golden.</summary>
internal sealed class GoldenData
{
    private const int PromptCount = 4;

    private readonly JsonElement _json;
    private readonly SafetensorsHeader _tensors;

    public GoldenData(string family)
    {
        Folder = RepositoryPaths.Golden(family);
        _json = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "golden.json"))).RootElement;
        _tensors = SafetensorsHeader.Read(Path.Combine(Folder, "golden.safetensors"));
        Prompts = [.. _json.GetProperty("prompts").EnumerateArray().Select(Integers)];
        Assert.Equal(PromptCount, Prompts.Count);
    }

    public string Folder { get; }

    public IReadOnlyList<int[]> Prompts { get; }

    /// <summary>Greedy ids of a float32 or bf16 run.</summary>
    public int[] Greedy(DType dtype, int prompt) => Integers(Run(dtype, prompt).GetProperty("greedy"));

    /// <summary>Best minus second logit at each step.</summary>
    public float[] Gaps(DType dtype, int prompt) =>
        [.. Run(dtype, prompt).GetProperty("top1_minus_top2").EnumerateArray().Select(v => v.GetSingle())];

    /// <summary>Logits after the prompt.</summary>
    public float[] LastLogits(DType dtype, int prompt) => Tensor($"{Name(dtype)}.p{prompt}.last_logits");

    /// <summary>Logits of every step of the float32 run.</summary>
    public float[][] StepLogits(int prompt)
    {
        var all = Tensor($"fp32.p{prompt}.step_logits");
        return [.. all.Chunk(all.Length / 32)];
    }

    private static int[] Integers(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetInt32())];

    private static string Name(DType dtype) => dtype == DType.F32 ? "fp32" : "bf16";

    private JsonElement Run(DType dtype, int prompt) => _json.GetProperty("runs").GetProperty(Name(dtype))[prompt];

    private float[] Tensor(string name)
    {
        var info = _tensors.Tensors[name];
        using var file = File.OpenRead(info.File);
        file.Position = info.Offset;
        var values = new float[info.ElementCount];
        file.ReadExactly(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
