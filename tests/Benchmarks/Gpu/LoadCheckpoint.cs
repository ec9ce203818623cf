using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TensorParallel.Protocol.Architectures;
using TensorParallel.Protocol.Checkpoints;
using TensorParallel.TestKit;

namespace TensorParallel.Benchmarks.Gpu;

/// <summary>
/// A checkpoint of Llama 3.1 8B's shape in bf16 with real bytes (16.06 GB; fewer layers where the folder has less room), for loading.
/// Its numbers are noise around zero: it runs, and means nothing.
/// </summary>
internal static class LoadCheckpoint
{
    // Fewer layers than the shape has, for a try on a small machine.
    private const string LayersVariable = "TP_LOAD_LAYERS";

    private const int Layers = 32;
    private const int TensorsOfShard = 24;

    // 2 x 128256 x 4096 and 218 M elements a layer.
    private const long EndsBytes = 2L * 128256 * 4096 * 2;
    private const long LayerBytes = 2L * ((4096 * 4096 * 2) + (2 * 1024 * 4096) + (3 * 14336 * 4096) + (2 * 4096));

    // Left to others: the memory-backed folder's owner is the machine's memory.
    private const long SparedBytes = 3L << 30;

    /// <summary>The command; returns the exit code.</summary>
    public static int Make(string folder)
    {
        var layers = Write(folder);
        var bytes = Directory.GetFiles(folder).Sum(file => new FileInfo(file).Length);
        Console.WriteLine($"{folder}: 8B shape, {layers} of {Layers} layers, {bytes / 1e9:F2} GB");
        return 0;
    }

    /// <summary>Writes it into an empty or new folder and returns the number of layers.</summary>
    public static int Write(string folder)
    {
        Directory.CreateDirectory(folder);
        var room = Math.Min(new DriveInfo(folder).AvailableFreeSpace, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        var layers = (int)Math.Min((room - SparedBytes - EndsBytes) / LayerBytes, MostLayers());
        if (layers < 1)
        {
            throw new IOException(
                $"{folder}: {room / 1e9:F1} GB are free, but one layer with embedding and head takes {(EndsBytes + LayerBytes) / 1e9:F1} GB, " +
                $"and {SparedBytes / 1e9:F1} GB are left to others; name a folder with more room.");
        }

        File.WriteAllText(Path.Combine(folder, Checkpoint.ConfigFileName), Config(layers).ToJsonString());
        var spec = ArchitectureCatalog.Describe(ModelConfig.Load(Path.Combine(folder, Checkpoint.ConfigFileName)));
        var noise = Noise();
        var shards = ModelSpecTensors.Of(spec)
            .Select(t => new SafetensorsEntry(t.Name, DType.BF16, [.. t.Shape.Select(s => (long)s)], stream => Fill(stream, noise, t.Shape)))
            .Chunk(TensorsOfShard)
            .ToArray();
        Parallel.For(0, shards.Length, i => SafetensorsWriter.Write(Path.Combine(folder, FileName(i, shards.Length)), shards[i]));
        var map = new JsonObject();
        for (var i = 0; i < shards.Length; i++)
        {
            foreach (var entry in shards[i])
            {
                map[entry.Name] = FileName(i, shards.Length);
            }
        }

        var total = shards.Sum(shard => shard.Sum(entry => entry.Bytes));
        var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map };
        File.WriteAllText(Path.Combine(folder, Checkpoint.IndexFileName), index.ToJsonString());
        return layers;
    }

    private static int MostLayers() => int.TryParse(Environment.GetEnvironmentVariable(LayersVariable), out var layers)
        ? Math.Clamp(layers, 1, Layers)
        : Layers;

    private static string FileName(int shard, int shards) => $"model-{shard + 1:D5}-of-{shards:D5}.safetensors";

    private static void Fill(Stream stream, byte[] noise, IReadOnlyList<int> shape)
    {
        var bytes = shape.Aggregate(2L, (product, size) => product * size);
        for (var begin = 0L; begin < bytes; begin += noise.Length)
        {
            stream.Write(noise, 0, (int)Math.Min(noise.Length, bytes - begin));
        }
    }

    // Up to ±1/64, an odd number of elements long so that rows differ.
    private static byte[] Noise()
    {
        var noise = new ushort[(4 << 20) + 1];
        var random = new Random(1);
        for (var i = 0; i < noise.Length; i++)
        {
            noise[i] = (ushort)(BitConverter.SingleToUInt32Bits((random.NextSingle() - 0.5f) / 32) >> 16);
        }

        return MemoryMarshal.AsBytes<ushort>(noise).ToArray();
    }

    private static JsonObject Config(int layers) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["dtype"] = "bfloat16",
        ["bos_token_id"] = 128000,
        ["eos_token_id"] = 128001,
        ["head_dim"] = 128,
        ["hidden_act"] = "silu",
        ["hidden_size"] = 4096,
        ["intermediate_size"] = 14336,
        ["max_position_embeddings"] = 131072,
        ["num_attention_heads"] = 32,
        ["num_hidden_layers"] = layers,
        ["num_key_value_heads"] = 8,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = 500000.0,
        ["tie_word_embeddings"] = false,
        ["vocab_size"] = 128256,
    };
}
