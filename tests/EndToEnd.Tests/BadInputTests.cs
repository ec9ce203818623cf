using TensorParallel.TestKit;

namespace TensorParallel.EndToEnd.Tests;

/// <summary>
/// Every mistake of a user: one clear sentence, exit code 2, nothing on standard output and nothing left running.
/// </summary>
public class BadInputTests
{
    public static TheoryData<string, string[]> CommandLines { get; } = new()
    {
        { "no such model folder", ["generate", "--prompt", "x", "--model", "/nowhere/at/all"] },
        { "unknown-family", ["generate", "--prompt-ids", "1", "--model", "{unknown-architecture}"] },
        { "model-00002-of-00003.safetensors", ["generate", "--prompt-ids", "1", "--model", "{truncated}"] },
        { "model.safetensors", ["generate", "--prompt-ids", "1", "--model", "{corrupt}"] },
        { "colwize", ["plan", "--tp-plan", """{"layers.*.mlp.up_proj": "colwize"}"""] },
        { "layers.*.mlp.upproj", ["plan", "--tp-plan", """{"layers.*.mlp.upproj": "colwise"}"""] },
        { "o_proj", ["plan", "--tp-plan", """{"layers.*.self_attn.o_proj": "rowwise"}"""] },
        { "cuts nothing", ["plan", "--tp-plan", """{"layers.*.self_attn.q_proj": "replicate"}"""] },
        { "2048", ["generate", "--prompt-ids", "{long}"] },
        { "4096", ["generate", "--prompt-ids", "5,4096"] },
        { "temperature", ["generate", "--prompt", "x", "--temperature", "-1"] },
        { "top_p", ["generate", "--prompt", "x", "--top-p", "1.5"] },
        { "--prompt", ["generate"] },
        { "--no-such-option", ["generate", "--no-such-option"] },
        { "exclude each other", ["plan", "--tp-plan", "auto", "--device-map"] },
        { "--cpu-workers", ["plan", "--cpu-workers", "0"] },
        { "float8", ["plan", "--dtype", "float8"] },
        { "balanced_low_0", ["plan", "--device-map", "balancd"] },
        { "\"0\" is not DEVICE=SIZE", ["plan", "--max-memory", "0"] },
        { "\"tpu\" is no device", ["plan", "--device-map", "auto", "--max-memory", "tpu=1GiB"] },
        { "numbered from 0 to 1", ["generate", "--prompt", "x", "--cpu-workers", "2", "--max-memory", "0=1GiB"] },
        { "which is not there; there are 0", ["plan", "--device-map", """{"": 3}""", "--max-memory", "0=1GiB"] },
        { "gives no device to", ["plan", "--device-map", """{"lm_head": 0}""", "--max-memory", "0=1GiB"] },
        { "Duplicate property 'model'", ["plan", "--device-map", """{"model": 0, "model": 1, "lm_head": 0}""", "--max-memory", "0=1GiB,1=1GiB"] },
        { "MiB of weights", ["plan", "--device-map", "fit", "--max-memory", "0=16MiB"] },
        { "alone a device needs", ["plan", "--device-map", "--max-memory", "0=1MiB,1=1MiB"] },
        { "its budget is 16.0 MiB", ["generate", "--prompt", "x", "--cpu-workers", "2", "--max-memory", "0=16MiB,1=16MiB"] },
        { "--max-memory …,cpu=…", ["generate", "--prompt", "x", "--cpu-workers", "1", "--max-context", "128", "--max-step-tokens", "16", "--max-memory", "0=12MiB"] },
        { "and not beside them either (cpu 1.0 MiB)", ["generate", "--prompt", "x", "--cpu-workers", "1", "--max-context", "128", "--max-step-tokens", "16", "--max-memory", "0=8MiB,cpu=1MiB"] },
        { "must have model.layers.0 … model.layers.7 together on its device", ["generate", "--prompt", "x", "--cpu-workers", "1", "--offload", "model", "--max-memory", "0=8MiB,cpu=1GiB"] },
        { "must have lm_head on its device to compute it", ["generate", "--prompt", "x", "--cpu-workers", "1", "--max-memory", "0=1MiB,cpu=1GiB"] },
        { "cuts model.layers.0 between cpu and device 0", ["generate", "--prompt", "x", "--cpu-workers", "1", "--device-map", "{cut}", "--max-memory", "0=1GiB,cpu=1GiB"] },
        { "Random weights are in no file", ["generate", "--prompt-ids", "1", "--weights", "random", "--cpu-workers", "1", "--max-context", "128", "--max-step-tokens", "16", "--max-memory", "0=8MiB,disk=1GiB"] },
        { "give model, sequential, group", ["plan", "--offload", "layer"] },
        { "--blocks-per-group belongs to --offload group", ["plan", "--offload", "model", "--blocks-per-group", "2"] },
        { "--offload-slots is 65", ["plan", "--offload", "group", "--offload-slots", "65"] },
        { "comes back to device 0", ["generate", "--prompt", "x", "--cpu-workers", "2", "--device-map", "{back-and-forth}", "--max-memory", "0=1GiB,1=1GiB"] },
        { "--device-speed names device 4", ["plan", "--device-map", "--cpu-workers", "2", "--device-speed", "4=2"] },
        { "the model's limit is 2048", ["estimate", "--context", "4096"] },
        { "--batch is 0", ["estimate", "--batch", "0"] },
        { "give model, sequential, group", ["estimate", "--offload", "layer"] },
        { "--offload-slots belongs to --offload group", ["estimate", "--offload", "sequential", "--offload-slots", "2"] },
        { "unknown-family", ["estimate", "--model", "{unknown-architecture}"] },
        { "Two models are named demo-model", ["serve", "--model", "{demo}", "--model", "{demo}"] },
        { "this command takes one model", ["generate", "--prompt", "x", "--model", "{demo}", "--model", "{demo}"] },
        { "--admin-port is 70000", ["serve", "--admin-port", "70000"] },
        { "there is no such folder", ["serve", "--model-root", "/nowhere/at/all"] },
        { "--offload model, with which idle models make room", ["serve", "--model", "a={demo}", "--model", "b={demo}", "--cpu-workers", "1", "--max-memory", "0=28MiB", "--max-context", "256", "--max-sequences", "2", "--max-step-tokens", "64"] },
        { "allows a 1.0 MiB of host memory, but while other models are on its devices its weights take", ["serve", "--offload", "model", "--model", "a={demo}", "--model", "b={demo}", "--cpu-workers", "1", "--max-memory", "0=28MiB,cpu=1MiB", "--max-context", "256", "--max-sequences", "2", "--max-step-tokens", "64"] },
        { "GPU 7", ["generate", "--prompt", "x", "--gpus", "7"] },
        { "--port", ["serve", "--port", "99999"] },
        { "\"0,5\"", ["generate", "--prompt", "x", "--temperature", "0,5"] },
        { "a whole number", ["generate", "--prompt", "x", "--seed", "-1"] },
        { "Warning", ["plan", "--log-level", "77"] },
        { "1024", ["plan", "--threads", "5000"] },
        { "604800", ["plan", "--step-timeout", "2147483647"] },
        { "--model", ["generate", "--prompt", "x", "--model", ""] },
        { "\"genrate\", \"--prompt\"", ["genrate", "--prompt", "x"] },
        { "checkpoint or random", ["generate", "--prompt-ids", "1", "--weights", "some"] },
        { "neither a model folder nor a config.json", ["generate", "--prompt-ids", "1", "--weights", "random", "--model", "/nowhere/at/all"] },
        { "--weights random", ["generate", "--prompt-ids", "1", "--model", "{config}"] },
        { "no tokenizer.json", ["generate", "--prompt", "x", "--weights", "random", "--model", "{config}"] },
        { "--batch", ["bench", "--batch", "0"] },
        { "device-map", ["bench", "--compare", "pipeline"] },
        { "give --device-map, at least two devices", ["bench", "--compare", "unpipelined", "--cpu-workers", "2"] },
        { "--micro-batches is 9: give a number of at most 8", ["generate", "--prompt", "x", "--micro-batches", "9"] },
        { "leave out --device-map", ["bench", "--compare", "device-map", "--device-map"] },
        { "--max-context", ["bench", "--prompt-tokens", "64", "--max-context", "64"] },
        { "max_position_embeddings", ["bench", "--prompt-tokens", "9999"] },
        { "/nowhere/x.json", ["bench", "--json", "/nowhere/x.json"] },
        { "/nowhere/x.md", ["compare", "--output", "/nowhere/x.md"] },
    };

    [Theory]
    [MemberData(nameof(CommandLines))]
    public async Task IsOneSentenceAndExitCodeTwo(string expected, string[] arguments)
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync([.. arguments.Select(argument => Fill(argument, folder.Path))]);

        Assert.True(exitCode == 2, $"exit code {exitCode}\n{output}\n{errors}");
        Assert.Contains(expected, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
        Assert.Equal("", output);
    }

    [Fact]
    public async Task AnAddressOfAnotherMachineIsOneSentence()
    {
        // 192.0.2.0/24 is reserved for documentation: no machine has it.
        var (exitCode, output, errors) = await CoordinatorProcess.RunAsync("serve", "--host", "192.0.2.1", "--port", "0", "--http-port", "0");

        Assert.Equal((1, ""), (exitCode, output));
        Assert.StartsWith("coordinator: 192.0.2.1", errors, StringComparison.Ordinal);
        Assert.Single(errors.Trim().Split('\n'));
    }

    private static string Fill(string argument, string folder) => argument switch
    {
        "{unknown-architecture}" => Copy(folder, "config.json", text => text.Replace("\"llama\"", "\"unknown-family\"", StringComparison.Ordinal)),
        "{config}" => Path.Combine(RepositoryPaths.Golden("configs"), "llama-3.2-1b.json"),
        "{truncated}" => Truncated(folder),
        "{corrupt}" => Corrupt(folder),
        "{long}" => string.Join(',', Enumerable.Repeat(5, 2048)),
        "{back-and-forth}" => """{"model.embed_tokens": 0, "model.norm": 0, "lm_head": 0, "model.rotary_emb": 0, """ +
            string.Join(", ", Enumerable.Range(0, 8).Select(layer => $"\"model.layers.{layer}\": {layer % 2}")) + "}",
        "{cut}" => """{"model.embed_tokens": 0, "model.norm": 0, "lm_head": 0, "model.rotary_emb": 0, "model.layers.0.mlp": "cpu", """ +
            "\"model.layers.0.self_attn\": 0, \"model.layers.0.input_layernorm\": 0, \"model.layers.0.post_attention_layernorm\": 0, " +
            string.Join(", ", Enumerable.Range(1, 7).Select(layer => $"\"model.layers.{layer}\": 0")) + "}",
        _ => argument.Replace("{demo}", RepositoryPaths.DemoModel, StringComparison.Ordinal),
    };

    private static string Copy(string folder, string file, Func<string, string> change)
    {
        foreach (var source in Directory.EnumerateFiles(RepositoryPaths.Golden("llama")))
        {
            File.Copy(source, Path.Combine(folder, Path.GetFileName(source)));
        }

        var path = Path.Combine(folder, file);
        File.WriteAllText(path, change(File.ReadAllText(path)));
        return folder;
    }

    private static string Truncated(string folder)
    {
        Copy(folder, "config.json", text => text);
        using var shard = File.OpenWrite(Path.Combine(folder, "model-00002-of-00003.safetensors"));
        shard.SetLength(shard.Length - 10);
        return folder;
    }

    private static string Corrupt(string folder)
    {
        File.Copy(Path.Combine(RepositoryPaths.Golden("llama_bias"), "config.json"), Path.Combine(folder, "config.json"));
        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), [0x10, 0, 0, 0, 0, 0, 0, 0, .. "{\"not json at all"u8]);
        return folder;
    }
}
