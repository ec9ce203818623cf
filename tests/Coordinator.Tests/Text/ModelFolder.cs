using System.Text.Json.Nodes;

namespace TensorParallel.Coordinator.Tests.Text;

/// <summary>A temporary model folder with tokenizer files; gone when disposed.</summary>
internal sealed class ModelFolder : IDisposable
{
    public ModelFolder(JsonNode tokenizer, string? config = null)
        : this(tokenizer.ToJsonString(), config)
    {
    }

    public ModelFolder(string? tokenizer, string? config = null)
    {
        Path = Directory.CreateTempSubdirectory("tokenizer-test-").FullName;
        Write("tokenizer.json", tokenizer);
        Write("tokenizer_config.json", config);
    }

    public string Path { get; }

    public void Dispose() => Directory.Delete(Path, recursive: true);

    private void Write(string name, string? content)
    {
        if (content is not null)
        {
            File.WriteAllText(System.IO.Path.Combine(Path, name), content);
        }
    }
}
